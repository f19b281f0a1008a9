import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useParams } from "@tanstack/react-router";
import { Skeleton } from "antd";
import { useTranslation } from "react-i18next";
import { useLive } from "@/api/live";
import { useRoomNames } from "@/api/names";
import { useMay } from "@/api/session";
import { OrderFacts, orderQuery, OrderRows, ordersQuery } from "@/features/orders";
import { patientQuery } from "@/features/patients";
import { itemsText } from "@/lib/items";
import { stamp } from "@/lib/time";
import { Empty } from "@/ui/Empty";
import { Facts } from "@/ui/Facts";
import { Failure } from "@/ui/Failure";
import { PageFrame, Panel } from "@/ui/PageFrame";
import { PatientBanner } from "@/ui/PatientBanner";
import { AppointmentTag, ExamTag, PriorityTag } from "@/ui/Tags";
import { StepButtons, useOrderSteps } from "./useOrderSteps";
import css from "./Desk.module.css";

/** One order: what was asked, where it stands, and what may be done with it now. */
export function OrderPage() {
  const { t, i18n } = useTranslation("app");
  const { orderId = "" }: { orderId?: string } = useParams({ strict: false });
  const navigate = useNavigate();
  const may = useMay();
  const steps = useOrderSteps();
  const { roomOf } = useRoomNames();
  const order = useQuery(orderQuery(orderId));
  const patientId = order.data?.patient.id;
  const patient = useQuery({ ...patientQuery(patientId ?? ""), enabled: patientId !== undefined && may("patient.read") });
  const others = useInfiniteQuery({ ...ordersQuery({ patient_id: patientId }), enabled: patientId !== undefined });
  useLive(["*"], (event) => {
    if (event.topic === "*" || event.case_id === orderId || event.subject_id === orderId) void order.refetch();
  });

  if (!order.data)
    return (
      <PageFrame>{order.error ? <Failure error={order.error} onRetry={() => void order.refetch()} /> : <Skeleton active title paragraph={{ rows: 8 }} />}</PageFrame>
    );
  const { appointment } = order.data;
  const examined = !["draft", "ordered", "returned", "accepted", "redo", "cancelled"].includes(order.data.state);
  const rest = others.data?.pages.flatMap(({ items }) => items).filter(({ id }) => id !== orderId);
  return (
    <PageFrame>
      <div className={css.pinned}>
        <PatientBanner patient={patient.data ?? order.data.patient} />
      </div>
      <header className={css.orderTitle}>
        <h1>{itemsText(order.data, i18n.language, t)}</h1>
        <ExamTag state={order.data.state} />
        <PriorityTag priority={order.data.priority} />
        {order.data.ticket && <strong className={`${css.smallTicket} num`}>{order.data.ticket}</strong>}
        <StepButtons order={order.data} steps={steps} />
      </header>
      <div className={css.two}>
        <Panel title={t("order.request")}>
          <OrderFacts order={order.data} />
        </Panel>
        <Panel title={t("order.appointment")} extra={appointment ? <AppointmentTag state={appointment.state} /> : undefined}>
          {appointment ? (
            <Facts
              facts={[
                [t("order.when"), <span key="when" className="num">{`${stamp(appointment.start)} – ${stamp(appointment.end).slice(-5)}`}</span>],
                [t("order.device"), appointment.device_name],
                [t("order.room"), roomOf(appointment.device_id, appointment.room_name)],
                [t("order.ticket"), order.data.ticket ? <strong key="ticket">{order.data.ticket}</strong> : null],
              ]}
            />
          ) : (
            <Empty title={t(examined ? "order.walk_in" : "order.unbooked")} hint={t(examined ? "order.walk_in_hint" : "order.unbooked_hint")} />
          )}
        </Panel>
      </div>
      <Panel title={t("order.others")} flush>
        <OrderRows
          label={t("order.others")}
          orders={rest}
          error={others.error}
          withPatient={false}
          onOpen={(other) => void navigate({ to: "/orders/$orderId", params: { orderId: other.id } })}
          more={{ has: others.hasNextPage, loading: others.isFetchingNextPage, load: () => void others.fetchNextPage() }}
          empty={<Empty title={t("order.no_others")} />}
        />
      </Panel>
      {steps.dialogs}
    </PageFrame>
  );
}
