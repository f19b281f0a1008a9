import { EditOutlined, PlusOutlined } from "@ant-design/icons";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { Button, Modal, Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useLive } from "@/api/live";
import { useMay } from "@/api/session";
import { OrderRows, ordersQuery } from "@/features/orders";
import { PatientForm, patientQuery } from "@/features/patients";
import { Empty } from "@/ui/Empty";
import { Facts } from "@/ui/Facts";
import { Failure } from "@/ui/Failure";
import { PageFrame, Panel } from "@/ui/PageFrame";
import { PatientBanner } from "@/ui/PatientBanner";
import css from "./Desk.module.css";

/** A person and everything that was ever asked for. */
export function PatientRecordPage() {
  const { t } = useTranslation("app");
  const { patientId = "" }: { patientId?: string } = useParams({ strict: false });
  const navigate = useNavigate();
  const may = useMay();
  const [editing, setEditing] = useState(false);
  const patient = useQuery(patientQuery(patientId));
  const orders = useInfiniteQuery({ ...ordersQuery({ patient_id: patientId }), enabled: may("order.read") });
  useLive(["order", "patient", "exam", "report", "appt"], [["orders"], ["patients", patientId]]);
  if (!patient.data)
    return <PageFrame>{patient.error ? <Failure error={patient.error} onRetry={() => void patient.refetch()} /> : <Skeleton active title paragraph={{ rows: 6 }} />}</PageFrame>;
  return (
    <PageFrame>
      <div className={css.pinned}>
        <PatientBanner
          patient={patient.data}
          actions={
            <>
              {may("patient.edit") && (
                <Button icon={<EditOutlined />} onClick={() => setEditing(true)}>
                  {t("common:edit")}
                </Button>
              )}
              {may("order.create") && (
                <Button type="primary" icon={<PlusOutlined />} onClick={() => void navigate({ to: "/desk/visit", search: { patient: patientId } })}>
                  {t("visit.order")}
                </Button>
              )}
            </>
          }
        />
      </div>
      <Panel title={t("record.identifiers")}>
        <Facts
          columns={2}
          facts={[
            ...patient.data.identifiers.map((identifier) => [t(`common:identifier.${identifier.kind}`), <span key={identifier.value} className="mono">{identifier.value}</span>] as const),
            [t("record.address"), patient.data.address],
          ]}
        />
      </Panel>
      <Panel title={t("record.orders")} flush>
        <OrderRows
          label={t("record.orders")}
          withPatient={false}
          orders={orders.data?.pages.flatMap(({ items }) => items)}
          error={orders.error}
          onRetry={() => void orders.refetch()}
          onOpen={(order) => void navigate({ to: "/orders/$orderId", params: { orderId: order.id } })}
          more={{ has: orders.hasNextPage, loading: orders.isFetchingNextPage, load: () => void orders.fetchNextPage() }}
          empty={<Empty title={t("record.none")} />}
        />
      </Panel>
      <Modal open={editing} onCancel={() => setEditing(false)} footer={null} destroyOnHidden width={640} title={t("visit.edit")}>
        <PatientForm patient={patient.data} onDone={() => setEditing(false)} onCancel={() => setEditing(false)} />
      </Modal>
    </PageFrame>
  );
}
