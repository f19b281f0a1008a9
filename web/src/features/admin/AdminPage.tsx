import { useTranslation } from "react-i18next";
import { AuditLog } from "./AuditLog";
import { Deletions } from "./Deletions";
import { Displays } from "./Displays";
import { StatusBoard } from "./StatusBoard";
import { Storage } from "./Storage";
import { TabbedPage } from "./TabbedPage";
import { Users } from "./Users";

export function AdminPage() {
  const { t } = useTranslation("admin");
  return (
    <TabbedPage
      base="/admin"
      title={t("administration")}
      parts={[
        { key: "status", action: "status.read", body: () => <StatusBoard /> },
        { key: "storage", action: "storage.read", body: () => <Storage /> },
        { key: "deletions", action: "study.delete", body: () => <Deletions /> },
        { key: "users", action: "user.read", body: () => <Users /> },
        { key: "displays", action: "display.manage", body: () => <Displays /> },
        { key: "audit", action: "audit.read", body: () => <AuditLog /> },
      ]}
    />
  );
}
