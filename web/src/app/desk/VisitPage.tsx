import { EditOutlined, UserSwitchOutlined } from "@ant-design/icons";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Button, Modal, Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useLive } from "@/api/live";
import { useRoomNames } from "@/api/names";
import { useMay } from "@/api/session";
import type { Order } from "@/api/types";
import { OrderForm, ordersQuery } from "@/features/orders";
import { PatientForm, patientQuery, PatientSearch } from "@/features/patients";
import { itemsText } from "@/lib/items";
import { dayBounds, stamp, today } from "@/lib/time";
import { useKeys } from "@/lib/useKeys";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { PageFrame, Panel } from "@/ui/PageFrame";
import { PatientBanner } from "@/ui/PatientBanner";
import { ExamTag, PriorityTag } from "@/ui/Tags";
import { StepButtons, useOrderSteps } from "./useOrderSteps";
import css from "./Desk.module.css";

/**
 * One visit from the card to the ticket: who, what, when. The URL names the patient, so the page can be
 * reloaded or handed to a colleague in the middle.
 */
export function VisitPage() {
  const { t } = useTranslation("app");
  const navigate = useNavigate();
  const search: { patient?: string } = useSearch({ strict: false });
  const patientId = search.patient;
  const choose = (id: string | undefined) => void navigate({ to: "/desk/visit", search: { patient: id } });
  useKeys({ F2: (event) => (event.preventDefault(), choose(undefined)) });
  return (
    <PageFrame title={t("visit.title")} aside={t(patientId === undefined ? "visit.step_patient" : "visit.step_order")} actions={<Button onClick={() => void navigate({ to: "/desk" })}>{t("visit.leave")}</Button>}>
      {patientId === undefined ? <ChoosePatient onChoose={choose} /> : <Visit key={patientId} patientId={patientId} onChange={() => choose(undefined)} />}
    </PageFrame>
  );
}

function ChoosePatient({ onChoose }: { onChoose: (id: string) => void }) {
  const { t } = useTranslation("app");
  const may = useMay();
  const [typed, setTyped] = useState<string | null>(null);
  useKeys({ F4: (event) => (event.preventDefault(), may("patient.register") && setTyped((before) => before ?? "")) });
  if (typed === null)
    return (
      <Panel title={t("visit.find")} className={css.narrow}>
        <PatientSearch onChoose={(patient) => onChoose(patient.id)} {...(may("patient.register") ? { onRegister: setTyped } : {})} />
      </Panel>
    );
  return (
    <Panel title={t("visit.register")} className={css.medium}>
      <PatientForm typed={typed} onDone={(patient) => onChoose(patient.id)} onUse={(patient) => onChoose(patient.id)} onCancel={() => setTyped(null)} />
    </Panel>
  );
}

function Visit({ patientId, onChange }: { patientId: string; onChange: () => void }) {
  const { t, i18n } = useTranslation("app");
  const may = useMay();
  const navigate = useNavigate();
  const steps = useOrderSteps();
  const { roomOf } = useRoomNames();
  const [editing, setEditing] = useState(false);
  const patient = useQuery(patientQuery(patientId));
  const orders = useInfiniteQuery(ordersQuery({ patient_id: patientId, from: dayBounds(today()).from }));
  useLive(["order", "appt", "sps", "queue", "patient", "exam"], [["orders"]]);
  const visit = orders.data?.pages.flatMap(({ items }) => items);

  const created = (made: Order[]) => {
    const [first] = made;
    // One order goes straight on to its time or its ticket; with several the clerk chooses.
    if (made.length !== 1 || !first) return;
    if (first.priority === "emergency" && steps.stepsOf(first).includes("arrive")) steps.run(first, "arrive");
    else if (steps.stepsOf(first).includes("book")) steps.run(first, "book");
  };

  if (patient.error) return <Failure error={patient.error} onRetry={() => void patient.refetch()} />;
  return (
    <>
      <div className={css.pinned}>
        {patient.data ? (
          <PatientBanner
            patient={patient.data}
            actions={
              <>
                {may("patient.edit") && (
                  <Button size="small" icon={<EditOutlined />} onClick={() => setEditing(true)}>
                    {t("common:edit")}
                  </Button>
                )}
                <Button size="small" icon={<UserSwitchOutlined />} onClick={onChange}>
                  {t("visit.other")} <kbd>F2</kbd>
                </Button>
              </>
            }
          />
        ) : (
          <Skeleton active title paragraph={false} />
        )}
      </div>
      <div className={css.visit}>
        {may("order.create") && (
          <Panel title={t("visit.order")}>
            <OrderForm patientId={patientId} onDone={created} />
          </Panel>
        )}
        <Panel title={t("visit.today")} extra={visit && visit.length > 0 ? t("visit.count", { count: visit.length }) : undefined}>
          {visit === undefined && !orders.error && <Skeleton active title={false} paragraph={{ rows: 3 }} />}
          {orders.error && !visit ? <Failure error={orders.error} compact onRetry={() => void orders.refetch()} /> : null}
          {visit?.length === 0 && <Empty title={t("visit.none")} hint={t("visit.none_hint")} />}
          <div className={css.orders}>
            {visit?.map((order) => (
              <article key={order.id} className={css.order}>
                <button type="button" className={css.orderHead} onClick={() => void navigate({ to: "/orders/$orderId", params: { orderId: order.id } })}>
                  <strong>{itemsText(order, i18n.language, t)}</strong>
                  <PriorityTag priority={order.priority} />
                  <ExamTag state={order.state} />
                </button>
                <p className={css.dim}>
                  <span className="mono">{order.accession}</span>
                  {order.appointment && (
                    <>
                      {" · "}
                      <span className="num">{stamp(order.appointment.start)}</span> {order.appointment.device_name} {roomOf(order.appointment.device_id, order.appointment.room_name)}
                    </>
                  )}
                  {order.ticket && (
                    <>
                      {" · "}
                      <strong className="num">{order.ticket}</strong>
                    </>
                  )}
                </p>
                <StepButtons order={order} steps={steps} skip={["timeline", "return", "unbook"]} size="small" />
              </article>
            ))}
          </div>
        </Panel>
      </div>
      <Modal open={editing} onCancel={() => setEditing(false)} footer={null} destroyOnHidden width={640} title={t("visit.edit")}>
        {patient.data && <PatientForm patient={patient.data} onDone={() => setEditing(false)} onCancel={() => setEditing(false)} />}
      </Modal>
      {steps.dialogs}
    </>
  );
}
