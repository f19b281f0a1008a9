import { useTranslation } from "react-i18next";
import { DeadLetters } from "./DeadLetters";
import { Messages } from "./Messages";
import { Peers } from "./Peers";
import { Quarantine } from "./Quarantine";
import { Receivers } from "./Receivers";
import { TabbedPage } from "./TabbedPage";

export function InterfacesPage() {
  const { t } = useTranslation("admin");
  return (
    <TabbedPage
      base="/interfaces"
      title={t("interfaces")}
      parts={[
        { key: "messages", action: "message.read", body: () => <Messages /> },
        { key: "receivers", action: "message.read", body: () => <Receivers /> },
        { key: "dead-letters", action: "deadletter.read", body: () => <DeadLetters /> },
        { key: "peers", action: "peer.read", body: () => <Peers /> },
        { key: "quarantine", action: "quarantine.manage", body: () => <Quarantine /> },
      ]}
    />
  );
}
