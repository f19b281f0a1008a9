import { FileTextOutlined, RightOutlined, SearchOutlined, UserOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Modal } from "antd";
import { useEffect, useId, useState, type KeyboardEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useMay } from "@/api/session";
import type { Order, Page, PatientSummary } from "@/api/types";
import { itemsText } from "@/lib/items";
import { useDebounced } from "@/lib/useDebounced";
import { Failure } from "@/ui/Failure";
import { PersonLine } from "@/ui/PersonLine";
import { ExamTag, PriorityTag } from "@/ui/Tags";
import type { Place } from "./modes";
import css from "./Palette.module.css";

interface Hit {
  key: string;
  href: string;
  icon: ReactNode;
  body: ReactNode;
}

/** One field for everything: patients, orders by accession or name, and the places of the rail. */
export function Palette({ open, onClose, places }: { open: boolean; onClose: () => void; places: readonly Place[] }) {
  const { t } = useTranslation("app");
  return (
    <Modal
      open={open}
      onCancel={onClose}
      footer={null}
      closable={false}
      width={640}
      destroyOnHidden
      style={{ top: 72 }}
      styles={{ container: { padding: 0 } }}
      title={<span className="visually-hidden">{t("search.title")}</span>}
    >
      <PaletteBody onClose={onClose} places={places} />
    </Modal>
  );
}

function PaletteBody({ onClose, places }: { onClose: () => void; places: readonly Place[] }) {
  const { t, i18n } = useTranslation("app");
  const navigate = useNavigate();
  const may = useMay();
  const list = useId();
  const [text, setText] = useState("");
  const [index, setIndex] = useState(0);
  const q = useDebounced(text.trim(), 150);

  const patients = useQuery({
    queryKey: ["patients", "search", q],
    queryFn: ({ signal }) => api.get<Page<PatientSummary>>("/patients", { query: { q, limit: 6 }, signal }),
    enabled: q !== "" && may("patient.read"),
    placeholderData: (previous) => previous,
  });
  const orders = useQuery({
    queryKey: ["orders", "search", q],
    queryFn: ({ signal }) => api.get<Page<Order>>("/orders", { query: { q, limit: 6 }, signal }),
    enabled: q !== "" && may("order.read"),
    placeholderData: (previous) => previous,
  });

  const wanted = text.trim().toLowerCase();
  const hits: Hit[] = places
    .filter(({ key, path }) => wanted === "" || t(`place.${key}`).toLowerCase().includes(wanted) || path.slice(1).startsWith(wanted))
    .map(({ key, path, chord }) => ({
      key: path,
      href: path,
      icon: <RightOutlined />,
      body: (
        <span className={css.line}>
          {t(`place.${key}`)}
          <span className={css.keys}>
            <kbd>G</kbd> <kbd>{chord.toUpperCase()}</kbd>
          </span>
        </span>
      ),
    }));
  if (q !== "") {
    for (const order of orders.data?.items ?? [])
      hits.push({
        key: `order-${order.id}`,
        href: `/orders/${encodeURIComponent(order.id)}`,
        icon: <FileTextOutlined />,
        body: (
          <span className={css.line}>
            <span className="mono">{order.accession}</span>
            <span className={css.grow}>
              {order.patient.name} · {itemsText(order, i18n.language, t)}
            </span>
            <PriorityTag priority={order.priority} />
            <ExamTag state={order.state} />
          </span>
        ),
      });
    for (const patient of patients.data?.items ?? [])
      hits.push({
        key: `patient-${patient.id}`,
        href: `/patients/${encodeURIComponent(patient.id)}`,
        icon: <UserOutlined />,
        body: <PersonLine patient={patient} />,
      });
  }
  const chosen = Math.min(index, Math.max(0, hits.length - 1));

  useEffect(() => {
    document.getElementById(`${list}-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }, [chosen, list]);

  const go = (hit: Hit | undefined) => {
    if (!hit) return;
    onClose();
    void navigate({ to: hit.href });
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown") setIndex(Math.min(chosen + 1, hits.length - 1));
    else if (event.key === "ArrowUp") setIndex(Math.max(chosen - 1, 0));
    else if (event.key === "Enter") go(hits[chosen]);
    else return;
    event.preventDefault();
  };

  const failed = orders.error ?? patients.error;
  const searching = q !== text.trim() || orders.isFetching || patients.isFetching;
  return (
    <div onKeyDown={onKeyDown}>
      <div className={css.field}>
        <SearchOutlined aria-hidden />
        <input
          autoFocus
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setIndex(0);
          }}
          placeholder={t("search.invite")}
          aria-label={t("search.title")}
          role="combobox"
          aria-expanded
          aria-controls={list}
          aria-activedescendant={hits.length > 0 ? `${list}-${chosen}` : undefined}
          autoComplete="off"
          spellCheck={false}
        />
        <kbd>{t("search.esc")}</kbd>
      </div>
      <div id={list} role="listbox" aria-label={t("search.title")} className={css.list}>
        {hits.map((hit, position) => (
          <div
            key={hit.key}
            id={`${list}-${position}`}
            role="option"
            aria-selected={position === chosen}
            className={position === chosen ? `${css.hit} ${css.chosen}` : css.hit}
            onMouseMove={() => setIndex(position)}
            onClick={() => go(hit)}
          >
            <span className={css.icon} aria-hidden>
              {hit.icon}
            </span>
            {hit.body}
          </div>
        ))}
        {failed ? <Failure error={failed} compact /> : null}
        {!failed && hits.length === 0 && <div className={css.none}>{searching ? t("search.searching") : t("search.none")}</div>}
      </div>
      <div className={css.foot}>{t("search.foot")}</div>
    </div>
  );
}
