import { ExportOutlined } from "@ant-design/icons";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Button } from "antd";
import type { Ref } from "react";
import { createPortal } from "react-dom";
import { useTranslation } from "react-i18next";
import { useDirectory, useMay, useSession } from "@/api/session";
import type { Reading, Report } from "@/api/types";
import { readingQuery } from "@/features/reading";
import { ReportEditor, reports, ReportSheet, type EditorHandle } from "@/features/reporting";
import { named } from "@/lib/i18n";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import type { Measurement } from "@/viewer";
import { useCaseFields } from "./caseFields";
import css from "./Room.module.css";

interface Props {
  reading: Reading;
  onDone: () => void;
  onDetach?: (() => void) | undefined;
  /** What is measured in the pictures beside; none in a window of its own. */
  measured?: readonly Measurement[];
  ref?: Ref<EditorHandle>;
}

export function ReportPane({ reading, onDone, onDetach, measured = [], ref }: Props) {
  const { t, i18n } = useTranslation("reading-room");
  const directory = useDirectory();
  const session = useSession();
  const may = useMay();
  const queries = useQueryClient();
  const { order, report } = reading;
  const fields = useCaseFields(reading, measured);
  const adopt = (next: Report): void => {
    queries.setQueryData(readingQuery(order.id).queryKey, (old) =>
      old === undefined ? old : { ...old, report: next },
    );
    void queries.invalidateQueries({ queryKey: ["reading", "list"] });
  };
  const open = useMutation({ mutationFn: () => reports.open(order.id), onSuccess: adopt });

  if (report === null) {
    const writer = may("report.draft", "report.initial");
    return (
      <div className={css.start}>
        <Empty
          title={t(writer ? "report.start_title" : "report.none")}
          hint={t(writer ? "report.start_hint" : "report.none_hint")}
          action={
            writer && (
              <Button type="primary" loading={open.isPending} onClick={() => open.mutate()}>
                {t("report.start")}
              </Button>
            )
          }
        />
        {open.isError && <Failure compact error={open.error} />}
      </div>
    );
  }
  return (
    <>
      {createPortal(
        <div className={css.paper}>
          <ReportSheet report={report} order={order} hospital={directory === undefined ? "" : named(directory.org, i18n.language)} />
        </div>,
        document.body,
      )}
      <ReportEditor
        key={report.id}
        ref={ref}
        report={report}
        userId={session.user.id}
        modality={order.modality}
        bodyPart={order.items[0]?.body_part ?? ""}
        fields={fields}
        mayShare={may("share.create")}
        mayWrite={may("report.draft", "report.initial")}
        onChanged={adopt}
        onDone={() => {
          // What was handed in is somebody else's turn: the auditor must not find it held.
          void reports.release(order.id).catch(() => undefined);
          onDone();
        }}
        extra={
          onDetach !== undefined && (
            <Button
              size="small"
              icon={<ExportOutlined />}
              onClick={onDetach}
              aria-label={t("report.detach")}
              title={t("report.detach")}
            />
          )
        }
      />
    </>
  );
}
