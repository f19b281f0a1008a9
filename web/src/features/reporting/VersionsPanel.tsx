import { FilePdfOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Button, Drawer, Select, Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { path, url } from "@/api/client";
import type { Report, ReportVersion } from "@/api/types";
import { stamp } from "@/lib/time";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { StageTag, Tag } from "@/ui/Tags";
import { diffQuery } from "./api";
import { DiffView } from "./DiffView";
import { sameText, SECTIONS, textOf } from "./draft";
import css from "./Reporting.module.css";

/** The number under which the server compares the text that is not a version yet. */
const WORKING = 0;

export function VersionsPanel({ report, open, onClose }: { report: Report; open: boolean; onClose: () => void }) {
  const { t } = useTranslation("reporting");
  const versions = [...report.versions].sort((a, b) => b.n - a.n);
  return (
    <Drawer open={open} onClose={onClose} size={640} title={t("versions.title")} destroyOnHidden>
      {versions.length === 0 ? (
        <Empty title={t("versions.none")} hint={t("versions.none_hint")} />
      ) : (
        <Versions report={report} versions={versions} />
      )}
    </Drawer>
  );
}

function Versions({ report, versions }: { report: Report; versions: readonly ReportVersion[] }) {
  const { t } = useTranslation("reporting");
  const newest = versions[0]?.n ?? 1;
  const [to, setTo] = useState(newest);
  const [from, setFrom] = useState(versions[1]?.n ?? newest);
  const options = versions.map(({ n, author }) => ({ value: n, label: t("versions.option", { n, author }) }));
  const last = versions[0];
  const changed = last !== undefined && !sameText(textOf(report), last);
  const targets = changed ? [{ value: WORKING, label: t("versions.working") }, ...options] : options;
  const shown = versions.find(({ n }) => n === to);
  return (
    <div className={css.versions}>
      <ol className={css.versionList}>
        {versions.map((version) => (
          <li key={version.n} className={version.n === to ? `${css.version} ${css.versionOn}` : css.version}>
            <button
              type="button"
              className={css.versionPick}
              aria-pressed={version.n === to}
              onClick={() => {
                setTo(version.n);
                setFrom(versions.find(({ n }) => n < version.n)?.n ?? version.n);
              }}
            >
              <span className="num">{t("versions.n", { n: version.n })}</span>
              <StageTag stage={version.stage} />
              {version.signed && <Tag tone="good">{t("versions.signed")}</Tag>}
              <span>{version.author}</span>
              <span className={`${css.dim} num`}>{stamp(version.at)}</span>
            </button>
            <Button
              size="small"
              type="text"
              icon={<FilePdfOutlined />}
              href={`${url(path`/reports/${report.id}/pdf`, { version: version.n })}`}
              target="_blank"
              aria-label={t("versions.pdf", { n: version.n })}
              title={t("versions.pdf", { n: version.n })}
            />
          </li>
        ))}
      </ol>
      {shown?.opinion != null && shown.opinion !== "" && (
        <p className={css.opinion}>{t("versions.opinion", { opinion: shown.opinion })}</p>
      )}
      {(versions.length > 1 || changed) && (
        <div className={css.compareRow}>
          <span>{t("versions.compare")}</span>
          <Select value={from} options={options} onChange={setFrom} aria-label={t("versions.from")} />
          <span aria-hidden>→</span>
          <Select value={to} options={targets} onChange={setTo} aria-label={t("versions.to")} />
        </div>
      )}
      {from === to ? (
        shown !== undefined && <Plain version={shown} />
      ) : (
        <Compared report={report} from={from} to={to} />
      )}
      {shown !== undefined && shown.hash !== "" && (
        <p className={`${css.dim} mono ${css.hash}`}>{t("versions.hash", { hash: shown.hash })}</p>
      )}
    </div>
  );
}

function Plain({ version }: { version: ReportVersion }) {
  const { t } = useTranslation("reporting");
  return (
    <>
      {SECTIONS.map((section) => (
        <section key={section}>
          <h3 className={css.sectionName}>{t(`section.${section}`)}</h3>
          <p className={css.diff}>{version[section]}</p>
        </section>
      ))}
    </>
  );
}

function Compared({ report, from, to }: { report: Report; from: number; to: number }) {
  const { t } = useTranslation("reporting");
  const diff = useQuery(diffQuery(report.id, from, to, report.rev));
  if (diff.isPending) return <Skeleton active title={false} />;
  if (diff.isError) return <Failure compact error={diff.error} onRetry={() => void diff.refetch()} />;
  const same = SECTIONS.every((section) => diff.data[section].every(({ op }) => op !== "insert" && op !== "delete"));
  return (
    <>
      {same && <p className={css.dim}>{t("versions.same")}</p>}
      {SECTIONS.map((section) => (
        <section key={section}>
          <h3 className={css.sectionName}>{t(`section.${section}`)}</h3>
          <DiffView parts={diff.data[section]} />
        </section>
      ))}
    </>
  );
}
