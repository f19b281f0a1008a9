import { SnippetsOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Button, Input, Popover, Skeleton } from "antd";
import { useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import type { Phrase } from "@/api/types";
import { useKeys } from "@/lib/useKeys";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import type { CaseFields } from "./macros";
import { findPhrases, phrasesQuery, type Place } from "./phrases";
import { PhraseText } from "./PhraseText";
import reportCss from "./Reporting.module.css";
import css from "./Phrases.module.css";

interface Props {
  place: Place;
  fields: CaseFields;
  onPick: (phrase: Phrase) => void;
  /** Keeps what is marked in the report as a phrase. */
  onKeep: () => void;
}

/** The phrases as a menu: Alt+P opens it, typing finds by name, shortcut, pinyin or text. */
export function PhrasePicker(props: Props) {
  const { t } = useTranslation("reporting");
  const [open, setOpen] = useState(false);
  useKeys({
    "Alt+KeyP": (event) => {
      event.preventDefault();
      setOpen((now) => !now);
    },
  });
  return (
    <Popover
      open={open}
      onOpenChange={setOpen}
      trigger="click"
      placement="bottomLeft"
      arrow={false}
      classNames={{ root: css.pickerPopup ?? "" }}
      destroyOnHidden
      content={
        <Picker
          {...props}
          onPick={(phrase) => {
            setOpen(false);
            props.onPick(phrase);
          }}
          onKeep={() => {
            setOpen(false);
            props.onKeep();
          }}
        />
      }
    >
      <Button size="small" icon={<SnippetsOutlined />} title={t("phrase.open_key")}>
        {t("phrase.title")}
      </Button>
    </Popover>
  );
}

function Picker({ place, fields, onPick, onKeep }: Props) {
  const { t } = useTranslation("reporting");
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const query = useQuery(phrasesQuery());
  const shown = findPhrases(query.data ?? [], { ...place, text, whole: true });
  const index = Math.max(0, Math.min(at, shown.length - 1));
  const current = shown[index];
  const press = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && current !== undefined && event.target instanceof HTMLInputElement) {
      event.preventDefault();
      onPick(current);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = Math.min(shown.length - 1, Math.max(0, index + (event.key === "ArrowDown" ? 1 : -1)));
      setAt(next);
      list.current?.querySelectorAll("[role=option]")[next]?.scrollIntoView({ block: "nearest" });
    }
  };
  return (
    <div className={reportCss.picker} onKeyDown={press}>
      <Input.Search
        autoFocus
        allowClear
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        placeholder={t("phrase.search")}
        aria-label={t("phrase.search")}
      />
      {query.isPending ? (
        <Skeleton active title={false} paragraph={{ rows: 3 }} />
      ) : query.isError ? (
        <Failure compact error={query.error} onRetry={() => void query.refetch()} />
      ) : shown.length === 0 ? (
        <Empty title={t("phrase.none")} hint={t("phrase.none_hint")} />
      ) : (
        <div className={reportCss.pickerBody}>
          <ul className={reportCss.pickerList} ref={list} role="listbox" aria-label={t("phrase.title")}>
            {shown.map((phrase, n) => (
              <li
                key={phrase.id}
                role="option"
                aria-selected={n === index}
                className={n === index ? `${reportCss.pick} ${reportCss.pickOn}` : reportCss.pick}
                onPointerEnter={() => setAt(n)}
                onClick={() => onPick(phrase)}
              >
                <span>
                  {phrase.name}
                  {!phrase.shared && <span className={css.mine}>{t("phrase.own")}</span>}
                </span>
                {phrase.code !== "" && <kbd className={css.code}>{phrase.code}</kbd>}
              </li>
            ))}
          </ul>
          {current !== undefined && (
            <div className={reportCss.pickPreview}>
              <p className={css.previewHead}>
                {[current.category, current.modality, current.body_part, current.section === "" ? "" : t(`section.${current.section}`)]
                  .filter((part) => part !== "")
                  .join(" · ")}
              </p>
              <PhraseText text={current.text} fields={fields} />
            </div>
          )}
        </div>
      )}
      <footer className={css.pickerFoot}>
        <Button size="small" type="text" onClick={onKeep}>
          {t("phrase.keep")}
        </Button>
        <Link to="/phrases">{t("phrase.manage")}</Link>
      </footer>
    </div>
  );
}
