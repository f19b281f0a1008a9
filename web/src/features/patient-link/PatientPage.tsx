import { useCallback, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import type { PatientView } from "@/api/types";
import { setPreferences, usePreferences } from "@/lib/preferences";
import { ReportView } from "./ReportView";
import { UnlockForm } from "./UnlockForm";
import { gateOf, type Gate } from "./unlock";
import { useIdle } from "./useIdle";
import css from "./PatientLink.module.css";

const CARE_KEY = "mingying.care";
/** A phone that was put down shows nothing after this time; the last minute warns. */
const IDLE_MS = 10 * 60_000;
const WARN_MS = 60_000;

type Stage = { at: "loading" } | { at: "gate"; gate: Gate; ended: boolean } | { at: "open"; view: PatientView };

export function PatientPage({ token }: { token: string }) {
  const { t } = useTranslation("patient-link");
  const { language } = usePreferences();
  const [stage, setStage] = useState<Stage>({ at: "loading" });
  const [busy, setBusy] = useState(false);
  const [care, setCare] = useState(() => readCare());

  const load = useCallback(
    async (unlocked: boolean) => {
      try {
        setStage({ at: "open", view: await api.get<PatientView>(path`/p/${token}`) });
      } catch (error) {
        const gate = gateOf(error);
        // Right after unlocking, a page that is still closed means that cookies are refused.
        setStage({ at: "gate", gate: unlocked && gate === "form" ? "unreachable" : gate, ended: false });
      }
    },
    [token],
  );

  useEffect(() => {
    void load(false);
  }, [load]);

  useEffect(() => {
    document.documentElement.dataset["care"] = care ? "on" : "off";
    document.title = t("title");
  }, [care, t]);

  const ended = useCallback(() => setStage({ at: "gate", gate: "form", ended: true }), []);
  const idle = useIdle(IDLE_MS, WARN_MS, ended, stage.at === "open");

  const unlock = async (birth: string, last4: string): Promise<void> => {
    setBusy(true);
    try {
      await api.post(path`/p/${token}/unlock`, { birth_date: birth, last4 });
      await load(true);
    } catch (error) {
      setStage({ at: "gate", gate: gateOf(error), ended: false });
    } finally {
      setBusy(false);
    }
  };

  const toggleCare = (): void => {
    setCare(!care);
    try {
      localStorage.setItem(CARE_KEY, care ? "off" : "on");
    } catch {
      // Kept for this page only.
    }
  };

  const hospital =
    stage.at === "open" ? (language === "en-US" ? stage.view.hospital_en : stage.view.hospital) : t("brand");
  return (
    <div className={css.page}>
      <header className={css.head}>
        <span className={css.hospital}>{hospital}</span>
        <span className={css.switches}>
          <button
            type="button"
            className={css.switch}
            onClick={() => setPreferences({ language: language === "zh-CN" ? "en-US" : "zh-CN" })}
          >
            {t("other_language")}
          </button>
          <button type="button" className={css.switch} aria-pressed={care} onClick={toggleCare}>
            {t(care ? "care.off" : "care.on")}
          </button>
        </span>
      </header>
      <main className={css.main}>
        {stage.at === "loading" && (
          <p className={css.card} role="status">
            {t("loading")}
          </p>
        )}
        {stage.at === "open" && <ReportView token={token} view={stage.view} onEnded={ended} />}
        {stage.at === "gate" && (
          <GateView stage={stage} busy={busy} onUnlock={unlock} onRetry={() => void load(false)} />
        )}
      </main>
      {idle && (
        <div className={css.toast} role="alertdialog" aria-label={t("idle.title")}>
          <p>{t("idle.text")}</p>
          <button type="button" className={css.primary}>
            {t("idle.stay")}
          </button>
        </div>
      )}
      <footer className={css.foot}>{t("foot")}</footer>
    </div>
  );
}

interface GateProps {
  stage: { gate: Gate; ended: boolean };
  busy: boolean;
  onUnlock: (birth: string, last4: string) => Promise<void>;
  onRetry: () => void;
}

function GateView({ stage, busy, onUnlock, onRetry }: GateProps) {
  const { t } = useTranslation("patient-link");
  const { gate } = stage;
  if (gate === "form" || gate === "mismatch" || gate === "throttled") {
    return (
      <UnlockForm
        gate={gate}
        ended={stage.ended}
        busy={busy}
        onUnlock={(birth, last4) => void onUnlock(birth, last4)}
      />
    );
  }
  return (
    <section className={css.card} role="alert">
      <h1 className={css.heading}>{t(`gate.${gate}.title`)}</h1>
      <p className={css.prose}>{t(`gate.${gate}`)}</p>
      {gate === "unreachable" && (
        <button type="button" className={css.primary} onClick={onRetry}>
          {t("retry")}
        </button>
      )}
    </section>
  );
}

function readCare(): boolean {
  try {
    return localStorage.getItem(CARE_KEY) === "on";
  } catch {
    return false;
  }
}
