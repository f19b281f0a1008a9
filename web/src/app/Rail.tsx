import {
  ApiOutlined,
  DesktopOutlined,
  DisconnectOutlined,
  EyeOutlined,
  OrderedListOutlined,
  ScanOutlined,
  SettingOutlined,
  SnippetsOutlined,
} from "@ant-design/icons";
import { Link } from "@tanstack/react-router";
import type { ComponentType } from "react";
import { useTranslation } from "react-i18next";
import type { Place } from "./modes";
import css from "./Shell.module.css";

const icons: Record<string, ComponentType> = {
  desk: DesktopOutlined,
  queue: OrderedListOutlined,
  exam: ScanOutlined,
  reading: EyeOutlined,
  phrases: SnippetsOutlined,
  unmatched: DisconnectOutlined,
  interfaces: ApiOutlined,
  admin: SettingOutlined,
};

export function Rail({ places, active }: { places: readonly Place[]; active: string | undefined }) {
  const { t } = useTranslation("app");
  return (
    <nav className={css.rail} aria-label={t("rail")}>
      <Link to="/" className={css.mark} aria-label={t("brand")}>
        <img src="/favicon.svg" alt="" />
      </Link>
      {places.map(({ key, path, chord }) => {
        const Icon = icons[key] ?? DesktopOutlined;
        return (
          <Link
            key={key}
            to={path}
            className={key === active ? `${css.place} ${css.active}` : css.place}
            aria-current={key === active ? "page" : undefined}
            title={t("place.keys", { place: t(`place.${key}`), chord: chord.toUpperCase() })}
          >
            <span className={css.placeIcon} aria-hidden>
              <Icon />
            </span>
            {t(`place.${key}`)}
          </Link>
        );
      })}
    </nav>
  );
}
