import { useNavigate, useSearch } from "@tanstack/react-router";
import { Button } from "antd";
import { useTranslation } from "react-i18next";
import { DayCalendar } from "@/features/scheduling";
import { isDay, longDay, today } from "@/lib/time";
import { PageFrame } from "@/ui/PageFrame";

export function CalendarPage() {
  const { t, i18n } = useTranslation("app");
  const navigate = useNavigate();
  const search: { day?: string; modality?: string } = useSearch({ strict: false });
  const day = search.day !== undefined && isDay(search.day) ? search.day : today();
  return (
    <PageFrame fill title={t("desk.calendar")} aside={longDay(day, i18n.language)} actions={<Button onClick={() => void navigate({ to: "/desk" })}>{t("common:back")}</Button>}>
      <DayCalendar
        day={day}
        modality={search.modality ?? ""}
        onChange={(change) => void navigate({ to: "/desk/calendar", search: (before) => ({ ...before, ...change }), replace: true })}
        onOpen={(orderId) => void navigate({ to: "/orders/$orderId", params: { orderId } })}
      />
    </PageFrame>
  );
}
