import { LinkOutlined } from "@ant-design/icons";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Alert, App, Button, Input, Modal, Skeleton } from "antd";
import { useEffect, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useLive } from "@/api/live";
import type { Order, UnmatchedStudy } from "@/api/types";
import { named } from "@/lib/i18n";
import { stamp } from "@/lib/time";
import { useDebounced } from "@/lib/useDebounced";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { PageFrame } from "@/ui/PageFrame";
import { PersonLine } from "@/ui/PersonLine";
import { ExamTag, Tag } from "@/ui/Tags";
import { candidatesQuery, linkStudy, patientQuery, unmatchedQuery } from "./api";
import { compareStudy } from "./compare";
import css from "./Reading.module.css";

/** `menu`: what else can be done to a study. */
export function UnmatchedPage({ menu }: { menu?: (studyUid: string) => ReactNode }) {
  const { t } = useTranslation("reading");
  const list = useQuery(unmatchedQuery);
  const [linking, setLinking] = useState<UnmatchedStudy | null>(null);
  useLive(["study"], [unmatchedQuery.queryKey]);
  return (
    <PageFrame title={t("unmatched.title")} aside={t("unmatched.aside")} fill>
      {list.isPending ? (
        <Skeleton active paragraph={{ rows: 6 }} title={false} />
      ) : list.isError ? (
        <Failure error={list.error} onRetry={() => void list.refetch()} />
      ) : list.data.items.length === 0 ? (
        <Empty title={t("unmatched.empty")} hint={t("unmatched.empty_hint")} />
      ) : (
        <div className={css.listBox}>
          <table className={`${css.table} ${css.cards}`}>
            <thead>
              <tr>
                <th scope="col">{t("unmatched.reason")}</th>
                <th scope="col">{t("unmatched.name")}</th>
                <th scope="col">{t("unmatched.patient_id")}</th>
                <th scope="col">{t("column.item")}</th>
                <th scope="col" className={css.wide}>
                  {t("column.accession")}
                </th>
                <th scope="col" className={`${css.right} ${css.wide}`}>
                  {t("column.images")}
                </th>
                <th scope="col" className={css.wide}>
                  {t("unmatched.source")}
                </th>
                <th scope="col" className={css.wide}>
                  {t("unmatched.received_at")}
                </th>
                <th scope="col">
                  <span className="visually-hidden">{t("unmatched.link")}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.data.items.map((study) => (
                <tr key={study.study_uid}>
                  <td className={css.cardTags}>
                    <Reason reason={study.reason} />
                  </td>
                  <td className={`${css.name} ${css.cardHead}`}>{study.patient_name}</td>
                  <td className={`${css.cardEnd} mono`}>{study.patient_id}</td>
                  <td className={css.cardLine}>
                    <span className={css.modality}>{study.modality}</span> {study.description}
                  </td>
                  <td className={`${css.wide} mono`}>{study.accession}</td>
                  <td className={`${css.right} ${css.wide} num`}>{study.images}</td>
                  <td className={`${css.wide} mono`}>{study.source_aet}</td>
                  <td className={`${css.wide} num`}>{stamp(study.received_at)}</td>
                  <td className={`${css.right} ${css.cardSide}`}>
                    <Button size="small" icon={<LinkOutlined />} onClick={() => setLinking(study)}>
                      {t("unmatched.link")}
                    </Button>
                    {menu?.(study.study_uid)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {linking !== null && <LinkDialog study={linking} onClose={() => setLinking(null)} />}
    </PageFrame>
  );
}

function Reason({ reason }: { reason: string }) {
  const { t } = useTranslation("reading");
  return <Tag tone="warn">{t(`unmatched.reason.${reason}`, { defaultValue: reason })}</Tag>;
}

function LinkDialog({ study, onClose }: { study: UnmatchedStudy; onClose: () => void }) {
  const { t, i18n } = useTranslation("reading");
  const { message } = App.useApp();
  const queries = useQueryClient();
  // What the images say is looked for in turn until something is found: number, patient, name. Typing ends that.
  const tries = [...new Set([study.accession, study.patient_id, study.patient_name])].filter((each) => each.trim() !== "");
  const [attempt, setAttempt] = useState(0);
  const [typed, setTyped] = useState<string | null>(null);
  const text = typed ?? tries[attempt] ?? "";
  const q = useDebounced(text, 250);
  const candidates = useQuery(candidatesQuery(q));
  const nothing = candidates.data?.items.length === 0;
  useEffect(() => {
    if (nothing && typed === null && q === tries[attempt] && attempt < tries.length - 1) setAttempt(attempt + 1);
  }, [nothing, typed, q, tries, attempt]);
  const [chosen, setChosen] = useState<Order | null>(null);
  const patient = useQuery(patientQuery(chosen?.patient.id ?? null));
  const link = useMutation({
    mutationFn: (order: Order) => linkStudy(study.study_uid, order.id),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["reading"] });
      void message.success(t("unmatched.linked"));
      onClose();
    },
  });
  const facts = chosen === null ? [] : compareStudy(study, chosen);
  const differences = facts.filter((fact) => fact.differs).length;
  return (
    <Modal
      open
      width={760}
      title={t("unmatched.dialog")}
      okText={differences > 0 ? t("unmatched.link_anyway") : t("unmatched.link")}
      okButtonProps={{ disabled: chosen === null, loading: link.isPending, danger: differences > 0 }}
      onOk={() => {
        if (chosen !== null) link.mutate(chosen);
      }}
      onCancel={onClose}
    >
      <p className={css.reason}>
        <Reason reason={study.reason} /> {t(`unmatched.why.${study.reason}`, { defaultValue: "" })}
      </p>
      <p className={css.reason}>
        <strong>{study.patient_name}</strong> <span className="mono">{study.patient_id}</span> · {study.modality} {study.description} · {study.study_date ?? "–"} · <span className="mono">{study.accession}</span>
      </p>
      <Input.Search
        autoFocus
        value={text}
        onChange={(event) => {
          setTyped(event.target.value);
          setChosen(null);
        }}
        placeholder={t("unmatched.search")}
        aria-label={t("unmatched.search")}
        loading={candidates.isFetching}
      />
      {candidates.isError && <Failure compact error={candidates.error} onRetry={() => void candidates.refetch()} />}
      {candidates.data !== undefined && candidates.data.items.length === 0 && (
        <Empty title={t("unmatched.no_candidates")} hint={t("unmatched.no_candidates_hint")} />
      )}
      <ul className={css.candidates}>
        {candidates.data?.items.map((order) => (
          <li key={order.id}>
            <button
              type="button"
              className={chosen?.id === order.id ? `${css.candidate} ${css.candidateOn}` : css.candidate}
              aria-pressed={chosen?.id === order.id}
              onClick={() => setChosen(order)}
            >
              <PersonLine patient={order.patient} />
              <span>{order.items.map((item) => named(item, i18n.language)).join(t("unmatched.join"))}</span>
              <span className="mono">{order.accession}</span>
              <ExamTag state={order.state} />
            </button>
          </li>
        ))}
      </ul>
      {chosen !== null && (
        <>
          <div className={css.compare}>
            <section className={css.side}>
              <h3>{t("unmatched.from_images")}</h3>
              <dl className={css.facts}>
                {facts.map((fact) => (
                  <Fact key={fact.key} name={t(`fact.${fact.key}`)} value={fact.study} differs={fact.differs} />
                ))}
                <Fact name={t("fact.date")} value={study.study_date ?? ""} differs={false} />
                <Fact name={t("fact.description")} value={study.description} differs={false} />
              </dl>
            </section>
            <section className={css.side}>
              <h3>{t("unmatched.from_order")}</h3>
              <dl className={css.facts}>
                {facts.map((fact) => (
                  <Fact key={fact.key} name={t(`fact.${fact.key}`)} value={fact.order} differs={fact.differs} />
                ))}
                <Fact name={t("fact.birth_date")} value={patient.data?.birth_date ?? ""} differs={false} />
                <Fact name={t("fact.phone")} value={patient.data?.phone ?? ""} differs={false} />
              </dl>
            </section>
          </div>
          {differences > 0 && (
            <Alert
              className={css.reason}
              type="warning"
              showIcon
              title={t("unmatched.differs", { count: differences })}
            />
          )}
        </>
      )}
      {link.isError && <Failure compact error={link.error} />}
    </Modal>
  );
}

function Fact({ name, value, differs }: { name: string; value: string; differs: boolean }) {
  const { t } = useTranslation("reading");
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <span className={differs ? css.differs : undefined}>{value === "" ? t("fact.missing") : value}</span>
      </dd>
    </>
  );
}
