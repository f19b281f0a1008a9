import { WarningOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useTranslation } from "react-i18next";
import { asProblem, problemText } from "@/api/problem";
import css from "./States.module.css";

/** What happened, what is safe, what to try, and the code for the help desk. */
export function Failure({ error, onRetry, compact = false }: { error: unknown; onRetry?: () => void; compact?: boolean }) {
  const { t } = useTranslation("common");
  const problem = asProblem(error);
  // Asking again does not change a refusal: what helps is said instead of a button that does nothing.
  const refused = problem.status === 403 || problem.status === 404;
  const safe = problem.status === 0 || problem.status >= 500 ? t("failure.safe") : refused ? t(`failure.${problem.status}`) : null;
  return (
    <div className={compact ? `${css.state} ${css.compact}` : css.state} role="alert">
      {!compact && (
        <div className={css.icon} aria-hidden>
          <WarningOutlined />
        </div>
      )}
      <div className={css.title}>{problemText(t, error)}</div>
      {safe !== null && <div className={css.hint}>{safe}</div>}
      <div className={css.code}>
        <span className="mono">{problem.code}</span>
      </div>
      {onRetry !== undefined && !refused && (
        <div className={css.action}>
          <Button onClick={onRetry}>{t("retry")}</Button>
        </div>
      )}
    </div>
  );
}
