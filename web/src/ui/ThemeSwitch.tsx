import { BulbOutlined, DesktopOutlined, MoonOutlined, SunOutlined } from "@ant-design/icons";
import { Button, Dropdown } from "antd";
import { useTranslation } from "react-i18next";
import { setPreferences, usePreferences, type ThemeChoice } from "@/lib/preferences";

export function ThemeSwitch() {
  const { t } = useTranslation("common");
  const { theme } = usePreferences();
  const choices: [ThemeChoice, React.ReactNode][] = [
    ["system", <DesktopOutlined key="i" />],
    ["light", <SunOutlined key="i" />],
    ["dark", <MoonOutlined key="i" />],
  ];
  return (
    <Dropdown
      trigger={["click"]}
      menu={{
        selectable: true,
        selectedKeys: [theme],
        items: choices.map(([key, icon]) => ({ key, icon, label: t(`theme.${key}`) })),
        onClick: ({ key }) => setPreferences({ theme: key as ThemeChoice }),
      }}
    >
      <Button type="text" icon={<BulbOutlined />} aria-label={t("theme.title")} title={t("theme.title")} />
    </Dropdown>
  );
}
