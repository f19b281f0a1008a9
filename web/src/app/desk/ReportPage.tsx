import { FilePdfOutlined, PictureOutlined, PrinterOutlined, ShareAltOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { Button, Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useLive } from "@/api/live";
import { useDirectory, useMay } from "@/api/session";
import type { Page, Report, TimelineEvent } from "@/api/types";
import { orderQuery } from "@/features/orders";
import { reports, ReportSheet, ShareDialog } from "@/features/reporting";
import { named } from "@/lib/i18n";
import { openPdf } from "@/lib/openFile";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { PageFrame } from "@/ui/PageFrame";
import css from "./Desk.module.css";

/** The report that an order led to, as its events name it; null while nothing is signed. */
async function signedReport(orderId: string, signal: AbortSignal): Promise<Report | null> {
  let found: string | null = null;
  let cursor: string | null = null;
  do {
    const page: Page<TimelineEvent> = await api.get(path`/orders/${orderId}/timeline`, { query: { cursor }, signal });
    for (const { topic, subject_kind, subject_id } of page.items) if (subject_kind === "report" && topic === "report.final") found = subject_id;
    cursor = page.next;
  } while (cursor !== null);
  return found === null ? null : reports.read(found);
}

/** The signed report for those who ask for it and hand it out: clinician, registrar, head. Reading it changes nothing. */
export function ReportPage() {
  const { t, i18n } = useTranslation("app");
  const { orderId = "" }: { orderId?: string } = useParams({ strict: false });
  const navigate = useNavigate();
  const may = useMay();
  const directory = useDirectory();
  const [sharing, setSharing] = useState(false);
  const order = useQuery(orderQuery(orderId));
  const report = useQuery({ queryKey: ["orders", orderId, "report"], queryFn: ({ signal }) => signedReport(orderId, signal) });
  useLive(["report"], (event) => {
    if (event.topic === "*" || event.case_id === orderId) void report.refetch();
  });

  const problem = order.error ?? report.error;
  const again = () => {
    void order.refetch();
    void report.refetch();
  };
  return (
    <PageFrame
      title={<span className={css.noPrint}>{t("report.title")}</span>}
      actions={
        <span className={`${css.steps} ${css.noPrint}`}>
          <Button onClick={() => void navigate({ to: "/orders/$orderId", params: { orderId } })}>{t("common:back")}</Button>
          {order.data && order.data.images > 0 && may("study.read") && (
            <Button icon={<PictureOutlined />} onClick={() => void navigate({ to: "/viewer", search: { study: order.data.study_uid } })}>
              {t("report.images")}
            </Button>
          )}
          {report.data && may("share.create") && (
            <Button icon={<ShareAltOutlined />} onClick={() => setSharing(true)}>
              {t("report.share")}
            </Button>
          )}
          {report.data && (
            <>
              <Button icon={<PrinterOutlined />} onClick={() => window.print()}>
                {t("report.print")}
              </Button>
              <Button type="primary" icon={<FilePdfOutlined />} onClick={() => report.data && openPdf(path`/reports/${report.data.id}/pdf`)}>
                {t("report.pdf")}
              </Button>
            </>
          )}
        </span>
      }
    >
      {order.data && report.data ? (
        <ReportSheet report={report.data} order={order.data} hospital={directory ? named(directory.org, i18n.language) : ""} />
      ) : problem ? (
        <Failure error={problem} onRetry={again} />
      ) : order.data && report.data === null ? (
        <Empty title={t("report.none")} hint={t("report.none_hint")} />
      ) : (
        <Skeleton active title paragraph={{ rows: 8 }} />
      )}
      {sharing && <ShareDialog orderId={orderId} onClose={() => setSharing(false)} />}
    </PageFrame>
  );
}
