import { AutoComplete, Button, Form, Input, Modal, Select } from "antd";
import type { TextAreaRef } from "antd/es/input/TextArea";
import { useRef } from "react";
import { useTranslation } from "react-i18next";
import type { PhraseContent } from "@/api/types";
import { problemText } from "@/api/problem";
import { SECTIONS } from "./draft";
import { CASE_FIELDS, fieldName } from "./macros";
import css from "./Phrases.module.css";

export const MODALITIES = ["CT", "MR", "DX", "US", "MG", "RF", "XA", "PT", "NM"];

export const EMPTY: PhraseContent = { code: "", name: "", category: "", modality: "", body_part: "", section: "", text: "" };

export interface NewOrOld extends PhraseContent {
  shared: boolean;
}

interface Props {
  start: NewOrOld;
  /** An existing phrase stays on its shelf. */
  existing: boolean;
  mayShare: boolean;
  categories: readonly string[];
  parts: readonly string[];
  busy: boolean;
  problem: unknown;
  onSave: (phrase: NewOrOld) => void;
  onClose: () => void;
}

/** One phrase, new or to be changed. Fields of the case are put into the text by a click. */
export function PhraseForm({ start, existing, mayShare, categories, parts, busy, problem, onSave, onClose }: Props) {
  const { t, i18n } = useTranslation("reporting");
  const [form] = Form.useForm<NewOrOld>();
  const text = useRef<TextAreaRef>(null);
  const putField = (name: string): void => {
    const field = text.current?.resizableTextArea?.textArea;
    const now = (form.getFieldValue("text") as string | undefined) ?? "";
    const from = field?.selectionStart ?? now.length;
    const to = field?.selectionEnd ?? now.length;
    form.setFieldValue("text", `${now.slice(0, from)}{${name}}${now.slice(to)}`);
    const cursor = from + name.length + 2;
    requestAnimationFrame(() => {
      field?.focus();
      field?.setSelectionRange(cursor, cursor);
    });
  };
  const options = (values: readonly string[]) => values.map((value) => ({ value }));
  return (
    <Modal
      open
      width={640}
      title={t(existing ? "phrase.edit" : "phrase.add")}
      okText={t("phrase.save")}
      cancelText={t("common:cancel")}
      confirmLoading={busy}
      onOk={() => form.submit()}
      onCancel={onClose}
    >
      <Form
        form={form}
        layout="vertical"
        requiredMark={false}
        initialValues={start}
        onFinish={(values) => onSave({ ...start, ...values })}
        onKeyDown={(event) => {
          if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.submit();
        }}
      >
        <div className={css.pair}>
          <Form.Item name="name" label={t("phrase.name")} rules={[{ required: true, whitespace: true, message: t("phrase.need") }]}>
            <Input autoFocus maxLength={64} />
          </Form.Item>
          <Form.Item
            name="code"
            label={t("phrase.code")}
            extra={t("phrase.code_hint")}
            rules={[{ pattern: /^[\p{L}\p{N}]*$/u, message: t("phrase.code_rule") }]}
          >
            <Input maxLength={24} className="mono" />
          </Form.Item>
          <Form.Item name="category" label={t("phrase.category")}>
            <AutoComplete options={options(categories)} maxLength={32} allowClear />
          </Form.Item>
          <Form.Item name="section" label={t("phrase.section")}>
            <Select
              options={[
                { value: "", label: t("phrase.section_any") },
                ...SECTIONS.map((value) => ({ value, label: t(`section.${value}`) })),
              ]}
            />
          </Form.Item>
          <Form.Item name="modality" label={t("phrase.modality")}>
            <Select options={[{ value: "", label: t("phrase.any") }, ...options(MODALITIES)]} />
          </Form.Item>
          <Form.Item name="body_part" label={t("phrase.body_part")} normalize={(value: string | undefined) => (value ?? "").toUpperCase()}>
            <AutoComplete options={options(parts)} maxLength={16} allowClear placeholder={t("phrase.any")} />
          </Form.Item>
        </div>
        {!existing && mayShare && (
          <Form.Item name="shared" label={t("phrase.shelf")}>
            <Select
              options={[
                { value: false, label: t("phrase.shelf_own") },
                { value: true, label: t("phrase.shelf_shared") },
              ]}
            />
          </Form.Item>
        )}
        <Form.Item
          name="text"
          label={t("phrase.text")}
          rules={[{ required: true, whitespace: true, message: t("phrase.need") }]}
          style={{ marginBottom: 4 }}
        >
          <Input.TextArea ref={text} autoSize={{ minRows: 4, maxRows: 14 }} maxLength={4000} />
        </Form.Item>
        <div className={css.places}>
          <span className={css.placesLabel}>{t("phrase.fields_hint")}</span>
          {CASE_FIELDS.map((field) => {
            const name = fieldName(field, i18n.language);
            return (
              <Button key={field} size="small" onClick={() => putField(name)}>
                {name}
              </Button>
            );
          })}
        </div>
        {problem !== null && (
          <p role="alert" className={css.problem}>
            {problemText(t, problem)}
          </p>
        )}
      </Form>
    </Modal>
  );
}
