import { Alert, Button, Input, Modal } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Report } from "@/api/types";
import { stamp } from "@/lib/time";
import { Failure } from "@/ui/Failure";
import type { Checks } from "./checks";
import { changedParts, diffText } from "./diff";
import { DiffView } from "./DiffView";
import { SECTIONS, textOf, type Text } from "./draft";
import type { Remains } from "./recovery";
import css from "./Reporting.module.css";

/** Why the report cannot be signed as it is; warnings can be overridden with a written reason. */
export function ChecksDialog({
  checks,
  busy,
  onOverride,
  onClose,
}: {
  checks: Checks;
  busy: boolean;
  onOverride: (reason: string) => void;
  onClose: () => void;
}) {
  const { t } = useTranslation("reporting");
  const [reason, setReason] = useState("");
  return (
    <Modal
      open
      title={t("checks.title")}
      okText={checks.blocking ? t("checks.back") : t("checks.override")}
      okButtonProps={{ danger: !checks.blocking, disabled: !checks.blocking && reason.trim() === "", loading: busy }}
      cancelButtonProps={checks.blocking ? { style: { display: "none" } } : {}}
      cancelText={t("checks.back")}
      onOk={() => (checks.blocking ? onClose() : onOverride(reason.trim()))}
      onCancel={onClose}
    >
      <ul className={css.checks}>
        {checks.found.map(({ code, section }) => (
          <li key={`${code}-${section}`}>
            <Alert
              type={checks.blocking && code === "empty" ? "error" : "warning"}
              showIcon
              title={t(`check.${code}`, { section: t(`section.${section}`), defaultValue: code })}
            />
          </li>
        ))}
      </ul>
      {checks.blocking ? (
        <p className={css.dim}>{t("checks.blocking")}</p>
      ) : (
        <label className={css.fieldLabel}>
          <span>{t("checks.reason")}</span>
          <Input.TextArea rows={2} maxLength={500} value={reason} onChange={(event) => setReason(event.target.value)} />
        </label>
      )}
    </Modal>
  );
}

export function RejectDialog({
  busy,
  problem,
  onReject,
  onClose,
}: {
  busy: boolean;
  problem: unknown;
  onReject: (opinion: string) => void;
  onClose: () => void;
}) {
  const { t } = useTranslation("reporting");
  const [opinion, setOpinion] = useState("");
  return (
    <Modal
      open
      title={t("reject.title")}
      okText={t("reject.ok")}
      okButtonProps={{ danger: true, disabled: opinion.trim() === "", loading: busy }}
      onOk={() => onReject(opinion.trim())}
      onCancel={onClose}
    >
      <label className={css.fieldLabel}>
        <span>{t("reject.opinion")}</span>
        <Input.TextArea
          autoFocus
          rows={4}
          maxLength={2000}
          value={opinion}
          onChange={(event) => setOpinion(event.target.value)}
          placeholder={t("reject.hint")}
        />
      </label>
      {problem !== null && <Failure compact error={problem} />}
    </Modal>
  );
}

/** Two people wrote: both texts are shown, and one person decides. */
export function ConflictDialog({
  mine,
  theirs,
  onMine,
  onTheirs,
}: {
  mine: Text;
  theirs: Report;
  onMine: () => void;
  onTheirs: () => void;
}) {
  const { t } = useTranslation("reporting");
  return (
    <Modal
      open
      width={860}
      closable={false}
      mask={{ closable: false }}
      keyboard={false}
      title={t("conflict.title")}
      footer={[
        <Button key="theirs" onClick={onTheirs}>
          {t("conflict.theirs")}
        </Button>,
        <Button key="mine" type="primary" onClick={onMine}>
          {t("conflict.mine")}
        </Button>,
      ]}
    >
      <p>{t("conflict.lead", { name: theirs.updated_by, time: stamp(theirs.updated_at) })}</p>
      <Differences from={textOf(theirs)} to={mine} />
      <p className={css.dim}>{t("conflict.legend")}</p>
    </Modal>
  );
}

/** Text that an earlier session could not save. */
export function RecoveryBar({
  remains,
  report,
  onRestore,
  onDiscard,
}: {
  remains: Remains;
  report: Report;
  onRestore: () => void;
  onDiscard: () => void;
}) {
  const { t } = useTranslation("reporting");
  const [shown, setShown] = useState(false);
  const time = stamp(new Date(remains.at).toISOString());
  return (
    <div className={css.recovery} role="status">
      <span>{t(remains.rev < report.rev ? "recovery.older" : "recovery.text", { time })}</span>
      <span className={css.recoveryActions}>
        <Button size="small" onClick={() => setShown(true)}>
          {t("recovery.compare")}
        </Button>
        <Button size="small" type="primary" onClick={onRestore}>
          {t("recovery.restore")}
        </Button>
        <Button size="small" onClick={onDiscard}>
          {t("recovery.discard")}
        </Button>
      </span>
      <Modal open={shown} width={860} title={t("recovery.compare")} footer={null} onCancel={() => setShown(false)}>
        <Differences from={textOf(report)} to={remains.text} />
        <p className={css.dim}>{t("recovery.legend")}</p>
      </Modal>
    </div>
  );
}

function Differences({ from, to }: { from: Text; to: Text }) {
  const { t } = useTranslation("reporting");
  return (
    <>
      {SECTIONS.map((section) => {
        const parts = diffText(from[section], to[section]);
        return (
          <section key={section}>
            <h3 className={css.sectionName}>
              {t(`section.${section}`)}
              {changedParts(parts) === 0 && <span className={css.dim}>{t("diff.same")}</span>}
            </h3>
            <DiffView parts={parts} />
          </section>
        );
      })}
    </>
  );
}
