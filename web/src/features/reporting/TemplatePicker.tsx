import { FileTextOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Button, Input, Popover, Skeleton } from "antd";
import { useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import type { ReportTemplate } from "@/api/types";
import { named } from "@/lib/i18n";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { templatesQuery } from "./api";
import css from "./Reporting.module.css";

interface Props {
  modality: string;
  bodyPart: string;
  disabled: boolean;
  onPick: (template: ReportTemplate) => void;
}

export function TemplatePicker({ modality, bodyPart, disabled, onPick }: Props) {
  const { t } = useTranslation("reporting");
  const [open, setOpen] = useState(false);
  return (
    <Popover
      open={open}
      onOpenChange={setOpen}
      trigger="click"
      placement="bottomLeft"
      destroyOnHidden
      content={
        <Picker
          modality={modality}
          bodyPart={bodyPart}
          onPick={(template) => {
            setOpen(false);
            onPick(template);
          }}
        />
      }
    >
      <Button size="small" icon={<FileTextOutlined />} disabled={disabled}>
        {t("templates.title")}
      </Button>
    </Popover>
  );
}

function Picker({ modality, bodyPart, onPick }: Omit<Props, "disabled">) {
  const { t, i18n } = useTranslation("reporting");
  const [text, setText] = useState("");
  const [all, setAll] = useState(false);
  const [at, setAt] = useState(0);
  const list = useRef<HTMLUListElement>(null);
  const query = useQuery(templatesQuery(modality, all ? "" : bodyPart));
  const words = text.trim().toLowerCase();
  const shown = (query.data ?? []).filter((template) =>
    [template.name, template.name_en, template.impression, template.findings].some((field) =>
      field.toLowerCase().includes(words),
    ),
  );
  const current = shown[Math.min(at, shown.length - 1)];
  const press = (event: KeyboardEvent): void => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "Enter" && current !== undefined) {
      event.preventDefault();
      onPick(current);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = Math.min(shown.length - 1, Math.max(0, at + (event.key === "ArrowDown" ? 1 : -1)));
      setAt(next);
      list.current?.children[next]?.scrollIntoView({ block: "nearest" });
    }
  };
  return (
    <div className={css.picker} onKeyDown={press}>
      <Input.Search
        autoFocus
        allowClear
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
        placeholder={t("templates.search")}
        aria-label={t("templates.search")}
      />
      {query.isPending ? (
        <Skeleton active title={false} paragraph={{ rows: 3 }} />
      ) : query.isError ? (
        <Failure compact error={query.error} onRetry={() => void query.refetch()} />
      ) : shown.length === 0 ? (
        <Empty
          title={t("templates.none")}
          action={
            all || bodyPart === "" ? undefined : (
              <Button size="small" onClick={() => setAll(true)}>
                {t("templates.all", { modality })}
              </Button>
            )
          }
        />
      ) : (
        <div className={css.pickerBody}>
          <ul className={css.pickerList} ref={list} role="listbox" aria-label={t("templates.title")}>
            {shown.map((template, index) => (
              <li
                key={template.id}
                role="option"
                aria-selected={template === current}
                className={template === current ? `${css.pick} ${css.pickOn}` : css.pick}
                onPointerEnter={() => setAt(index)}
                onClick={() => onPick(template)}
              >
                {named(template, i18n.language)}
                {!template.shared && <span className={css.dim}>{t("templates.own")}</span>}
              </li>
            ))}
          </ul>
          {current !== undefined && (
            <div className={css.pickPreview}>
              <p>{current.findings}</p>
              <p className={css.pickImpression}>{current.impression}</p>
            </div>
          )}
        </div>
      )}
    </div>
  );
}
