import { useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { asProblem, problemText } from "@/api/problem";
import type { DisplayView } from "@/api/types";
import { clock, dayOf, longDay } from "@/lib/time";
import { useNow } from "@/lib/useNow";
import { usePreferences } from "@/lib/preferences";
import { takeKey } from "./key";
import { keepListening } from "./stream";
import css from "./DisplayPage.module.css";

/** How long a new call blinks. */
const BLINK_MS = 12_000;

/** Few columns keep the letters large. */
function columnsFor(rooms: number): 1 | 2 | 3 | 4 {
  if (rooms <= 1) return 1;
  if (rooms <= 4) return 2;
  return rooms <= 9 ? 3 : 4;
}

/** The screen in the waiting area: who goes where, in letters that can be read from five metres. */
export function DisplayPage({ id }: { id: string }) {
  const { t } = useTranslation("display");
  const { language } = usePreferences();
  const [key] = useState(() => takeKey(window.location, sessionStorage, (url) => window.history.replaceState(null, "", url)));
  const [open, setOpen] = useState(false);
  const now = useNow(1000);

  const view = useQuery({
    queryKey: ["displays", id],
    queryFn: ({ signal }) => api.get<DisplayView>(path`/displays/${id}`, { signal, bearer: key }),
    // Events move the screen; this is the net below them.
    refetchInterval: 10_000,
    refetchIntervalInBackground: true,
    staleTime: 0,
  });
  const refetch = useRef(view.refetch);
  useEffect(() => {
    refetch.current = view.refetch;
  });
  useEffect(() => keepListening(path`/displays/${id}/live`, key, { changed: () => void refetch.current(), state: setOpen }), [id, key]);

  useEffect(() => {
    document.title = view.data?.name ?? t("title");
  }, [view.data?.name, t]);

  // Keeps the screen from going dark where the browser allows it.
  useEffect(() => {
    let lock: { release: () => Promise<void> } | null = null;
    const ask = () => {
      if (document.visibilityState === "visible") void navigator.wakeLock?.request("screen").then((given) => (lock = given), () => undefined);
    };
    ask();
    document.addEventListener("visibilitychange", ask);
    return () => {
      document.removeEventListener("visibilitychange", ask);
      void lock?.release();
    };
  }, []);

  const refused = view.error ? asProblem(view.error) : null;
  if (!view.data && refused && (refused.status === 401 || refused.status === 403 || refused.status === 404))
    return (
      <main className={css.message}>
        <h1>{t("refused.title")}</h1>
        <p>{t("refused.hint")}</p>
        <p className="mono">{refused.code}</p>
      </main>
    );
  if (!view.data)
    return (
      <main className={css.message} aria-busy>
        <h1>{view.error ? problemText(t, view.error) : t("starting")}</h1>
        {view.error && <p>{t("retrying")}</p>}
      </main>
    );

  const rooms = view.data.rooms;
  // The server's clock decides what is new: the screen's own may be wrong.
  const serverNow = Date.parse(view.data.now) + (now.getTime() - view.dataUpdatedAt);
  const late = !open && now.getTime() - view.dataUpdatedAt > 15_000;
  return (
    <main className={css.display} data-columns={columnsFor(rooms.length)} onDoubleClick={() => void document.documentElement.requestFullscreen?.().catch(() => undefined)}>
      <header className={css.head}>
        <h1>{view.data.name}</h1>
        {late && <span className={css.late}>{t("late", { time: clock(new Date(view.dataUpdatedAt)) })}</span>}
        <time className="num">
          <span className={css.day}>{longDay(dayOf(new Date(serverNow)), language)}</span>
          {clock(new Date(serverNow))}
        </time>
      </header>
      <div className={css.rooms}>
        {rooms.map((room) => {
          const calling = room.calling;
          const fresh = calling !== null && serverNow - Date.parse(calling.called_at) < BLINK_MS;
          return (
            <section key={room.room_id} className={css.room}>
              <h2>
                {language === "en-US" && room.room_name_en ? room.room_name_en : room.room_name}
                {language === "zh-CN" && room.room_name_en && <small>{room.room_name_en}</small>}
                <span className={`${css.count} num`}>{t("waiting", { count: room.waiting_count })}</span>
              </h2>
              <div className={css.calling} aria-live="polite">
                {calling ? (
                  <div key={calling.called_at} className={fresh ? `${css.call} ${css.fresh}` : css.call}>
                    <span className={`${css.ticket} num`}>{calling.ticket}</span>
                    <span className={css.name}>{calling.masked_name}</span>
                    <span className={css.please}>{t("please")}</span>
                  </div>
                ) : (
                  <span className={css.nobody}>{t("nobody")}</span>
                )}
              </div>
              <div className={css.next}>
                <span className={css.nextLabel}>{t(room.waiting.length > 0 ? "next" : "none_next")}</span>
                <ol>
                  {room.waiting.slice(0, 3).map((waiting) => (
                    <li key={waiting.ticket}>
                      <span className="num">{waiting.ticket}</span> {waiting.masked_name}
                    </li>
                  ))}
                </ol>
              </div>
            </section>
          );
        })}
        {rooms.length === 0 && <p className={css.nobody}>{t("no_rooms")}</p>}
      </div>
      <footer className={css.foot}>{t("foot")}</footer>
    </main>
  );
}
