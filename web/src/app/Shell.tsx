import { useQuery } from "@tanstack/react-query";
import { Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { directoryQuery, useSession } from "@/api/session";
import { keyGroups, type KeyGroup } from "@/lib/keyHelp";
import { useKeys, type KeyMap } from "@/lib/useKeys";
import { KeyHelp } from "@/ui/KeyHelp";
import { placesFor } from "./modes";
import { Palette } from "./Palette";
import { Rail } from "./Rail";
import { TopBar } from "./TopBar";
import css from "./Shell.module.css";

export function Shell() {
  const { t } = useTranslation("app");
  const session = useSession();
  const navigate = useNavigate();
  const pathname = useRouterState({ select: (state) => state.location.pathname });
  const [palette, setPalette] = useState(false);
  const [help, setHelp] = useState<readonly KeyGroup[] | null>(null);
  const places = useMemo(() => placesFor(session.actions), [session.actions]);
  const place = places.find(({ path }) => pathname === path || pathname.startsWith(`${path}/`));

  // Names of rooms, devices and exams, and the facility's zone, are wanted nearly everywhere.
  useQuery({ ...directoryQuery, enabled: session.actions.includes("catalogue.read") });

  useEffect(() => {
    document.title = place ? `${t(`place.${place.key}`)} · ${t("brand")}` : t("brand");
  }, [place, t]);

  const everywhere = (): KeyGroup => ({
    title: t("help.everywhere"),
    rows: [
      [["/", "Ctrl K"], t("help.search")],
      ...places.map(({ key, chord }) => [["G", chord.toUpperCase()], t("help.places", { place: t(`place.${key}`) })] as const),
      [["?"], t("help.help")],
    ],
  });
  const showHelp = () => setHelp([...keyGroups(), everywhere()]);
  const keys: KeyMap = {
    "?": showHelp,
    "Shift+?": showHelp,
    "$mod+k": (event) => {
      event.preventDefault();
      setPalette(true);
    },
    "/": (event) => {
      event.preventDefault();
      setPalette(true);
    },
  };
  for (const { chord, path } of places) keys[`g ${chord}`] = () => void navigate({ to: path });
  useKeys(keys);

  return (
    <div className={css.shell}>
      <a className={css.skip} href="#content">
        {t("skip")}
      </a>
      <Rail places={places} active={place?.key} />
      <TopBar onSearch={() => setPalette(true)} onHelp={showHelp} />
      <main id="content" className={css.content} tabIndex={-1}>
        <Outlet />
      </main>
      {help !== null && <KeyHelp groups={help} onClose={() => setHelp(null)} />}
      <Palette open={palette} onClose={() => setPalette(false)} places={places} />
    </div>
  );
}
