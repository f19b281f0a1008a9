import { BellOutlined, DownOutlined, QuestionCircleOutlined, SearchOutlined, TranslationOutlined, UserOutlined } from "@ant-design/icons";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Badge, Button, Dropdown, Popover } from "antd";
import { useTranslation } from "react-i18next";
import { api, setCsrf } from "@/api/client";
import { useLiveState } from "@/api/live";
import { sessionQuery, useSession } from "@/api/session";
import { setPreferences, usePreferences } from "@/lib/preferences";
import { ThemeSwitch } from "@/ui/ThemeSwitch";
import { Notices } from "./Notices";
import { useNotices } from "./noticeRules";
import css from "./Shell.module.css";

export function TopBar({ onSearch, onHelp }: { onSearch: () => void; onHelp: () => void }) {
  const { t } = useTranslation("app");
  const session = useSession();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const { language } = usePreferences();
  const live = useLiveState();
  const notices = useNotices(session.actions);

  const signOut = async () => {
    try {
      await api.delete("/session");
    } finally {
      // Nothing of this person may stay in the memory of a shared workstation.
      setCsrf(null);
      queries.clear();
      queries.setQueryData(sessionQuery.queryKey, null);
      await navigate({ to: "/login" });
    }
  };

  return (
    <header className={css.top}>
      <button type="button" className={css.search} onClick={onSearch} aria-keyshortcuts="/ Control+K">
        <SearchOutlined aria-hidden />
        <span className={css.searchText}>{t("search.invite")}</span>
        <span className={css.searchShort}>{t("common:search")}</span>
        <kbd>/</kbd>
      </button>
      <div className={css.tools}>
        {session.demo && <span className={css.demo}>{t("demo")}</span>}
        {live === "lost" && (
          <span className={css.live} role="status">
            {t("live.lost")}
          </span>
        )}
        <Popover
          trigger="click"
          placement="bottomRight"
          classNames={{ root: css.noticesPopup ?? "" }}
          onOpenChange={(open) => open && notices.markSeen()}
          content={<Notices notices={notices.items} />}
        >
          <Button type="text" aria-label={t("notices.title")} icon={<Badge count={notices.unseen} size="small"><BellOutlined /></Badge>} />
        </Popover>
        <Button
          type="text"
          icon={<TranslationOutlined />}
          aria-label={t("language")}
          title={t("language")}
          onClick={() => setPreferences({ language: language === "zh-CN" ? "en-US" : "zh-CN" })}
        />
        <ThemeSwitch />
        <Button type="text" className={css.help} icon={<QuestionCircleOutlined />} aria-label={t("common:keys.title")} title={t("help.title")} aria-keyshortcuts="?" onClick={onHelp} />
        <Dropdown
          trigger={["click"]}
          menu={{
            items: [
              { key: "who", label: session.user.roles.map((role) => t(`common:role.${role}`)).join(t("comma")), disabled: true },
              { type: "divider" },
              { key: "profile", label: t("user.profile"), onClick: () => void navigate({ to: "/profile" }) },
              { key: "out", label: t("user.sign_out"), onClick: () => void signOut() },
            ],
          }}
        >
          <Button type="text" aria-label={t("user.menu_of", { name: session.user.name })}>
            <span className={css.user}>
              <UserOutlined aria-hidden />
              <span className={css.userName}>{session.user.name}</span>
              <DownOutlined aria-hidden style={{ fontSize: 10 }} />
            </span>
          </Button>
        </Dropdown>
      </div>
    </header>
  );
}
