import { useMutation, useQueries, useQueryClient } from "@tanstack/react-query";
import { App, Form, Input, Modal, Select, Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import type { Deletion, DeletionReason, Study } from "@/api/types";
import { studyQuery } from "../reading-room/cases";
import { fullStamp } from "@/lib/time";
import { Facts } from "@/ui/Facts";
import { Failure } from "@/ui/Failure";
import css from "./StudyMenu.module.css";

const REASONS: readonly DeletionReason[] = ["quality", "patient_safety", "incorrect_worklist_entry", "retention_expired", "other"];
const NOTE_MAX = 1000;

interface Props {
  studyUids: readonly string[];
  onClose: () => void;
  onDeleted: (deletion: Deletion) => void;
}

interface Answer {
  target: string;
  reason: DeletionReason;
  note?: string;
}

/** A study or one of its series, as the value of a choice. */
const targetOf = (studyUid: string, seriesUid = ""): string => `${studyUid}/${seriesUid}`;

/** Names the patient and what would go, and asks why. */
export function DeleteImages({ studyUids, onClose, onDeleted }: Props) {
  const { t } = useTranslation("study-menu");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const [form] = Form.useForm<Answer>();
  const loads = useQueries({ queries: studyUids.map((uid) => ({ ...studyQuery(uid), staleTime: 0 })) });
  const studies = loads.map(({ data }) => data).filter((study) => study !== undefined);
  const failed = loads.find(({ error }) => error !== null)?.error ?? null;
  const pending = loads.some(({ isPending }) => isPending);
  const [target, setTarget] = useState(targetOf(studyUids[0] ?? ""));
  const reason = Form.useWatch("reason", form);
  const [studyUid = "", seriesUid = ""] = target.split("/");
  const study = studies.find((each) => each.study_uid === studyUid);
  const series = study?.series.find((each) => each.series_uid === seriesUid);
  const images = series?.images ?? study?.images ?? 0;
  const remove = useMutation({
    mutationFn: ({ reason, note }: Answer) =>
      api.post<Deletion>("/deletions", {
        study_uid: studyUid,
        ...(seriesUid === "" ? {} : { series_uid: seriesUid }),
        reason,
        note: note ?? "",
      }),
    onSuccess: async (deletion) => {
      void message.success(t("done", { until: fullStamp(deletion.restorable_until) }), 8);
      onDeleted(deletion);
      await Promise.all(["study", "reading", "deletions"].map((key) => queries.invalidateQueries({ queryKey: [key] })));
    },
  });
  return (
    <Modal
      open
      title={t("title")}
      okText={t("ok", { count: images })}
      okButtonProps={{ danger: true, disabled: study === undefined, loading: remove.isPending }}
      cancelText={t("common:cancel")}
      onOk={() => form.submit()}
      onCancel={onClose}
    >
      {pending ? (
        <Skeleton active paragraph={{ rows: 5 }} title={false} />
      ) : study === undefined ? (
        <Failure error={failed} compact />
      ) : (
        <>
          <Facts
            facts={[
              [t("patient"), <strong key="n">{study.patient_name}</strong>],
              [t("patient_id"), <span key="i" className="mono">{study.patient_id}</span>],
              [t("study"), [study.date, study.modality.replaceAll("\\", " "), study.description].filter((part) => part).join(" · ")],
              [t("accession"), <span key="a" className="mono">{study.accession}</span>],
              [t("goes"), <strong key="c">{t("images", { count: images })}</strong>],
            ]}
          />
          <Form form={form} layout="vertical" requiredMark={false} className={css.form} initialValues={{ target }} onFinish={(answer: Answer) => remove.mutate(answer)}>
            <Form.Item name="target" label={t("what")}>
              <Select onChange={setTarget} options={studies.flatMap((each) => choices(each, t))} />
            </Form.Item>
            <Form.Item name="reason" label={t("reason")} rules={[{ required: true, message: t("reason.need") }]} {...(reason === undefined ? {} : { extra: t(`reason.${reason}.hint`) })}>
              <Select autoFocus placeholder={t("reason.choose")} options={REASONS.map((value) => ({ value, label: t(`reason.${value}`) }))} />
            </Form.Item>
            <Form.Item name="note" label={t("note")} rules={[{ required: reason === "other", whitespace: true, message: t("note.need") }]}>
              <Input.TextArea rows={2} maxLength={NOTE_MAX} />
            </Form.Item>
          </Form>
          <p className={css.hint}>{t("hint")}</p>
          {remove.isError && <Failure error={remove.error} compact />}
        </>
      )}
    </Modal>
  );
}

type Translate = ReturnType<typeof useTranslation<"study-menu">>["t"];

/** The whole study first, then its series in the order of their numbers. */
function choices(study: Study, t: Translate): { value: string; label: string }[] {
  const name = study.description || study.date || study.study_uid;
  const ordered = [...study.series].sort((a, b) => (a.number ?? Number.MAX_SAFE_INTEGER) - (b.number ?? Number.MAX_SAFE_INTEGER));
  return [
    { value: targetOf(study.study_uid), label: t("choice.study", { name, count: study.images, series: study.series.length }) },
    ...ordered.map((series) => ({
      value: targetOf(study.study_uid, series.series_uid),
      label: t("choice.series", { number: series.number ?? "–", name: [series.modality, series.description].filter((part) => part !== "").join(" "), count: series.images }),
    })),
  ];
}
