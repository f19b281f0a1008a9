import { AutoComplete, Form, Input, Modal, Select } from "antd";
import { useTranslation } from "react-i18next";
import { problemText } from "@/api/problem";
import type { TemplateDraft } from "@/api/types";
import { SECTIONS } from "./draft";
import { MODALITIES } from "./PhraseForm";
import css from "./Phrases.module.css";

export interface TemplateEntry extends TemplateDraft {
  code: string;
}

interface Props {
  start: TemplateEntry;
  /** The code of a known template is fixed. */
  known: boolean;
  parts: readonly string[];
  busy: boolean;
  problem: unknown;
  onSave: (entry: TemplateEntry) => void;
  onClose: () => void;
}

/** The draft of a template. */
export function TemplateForm({ start, known, parts, busy, problem, onSave, onClose }: Props) {
  const { t } = useTranslation("reporting");
  const [form] = Form.useForm<TemplateEntry>();
  const need = { required: true, whitespace: true, message: t("phrase.need") };
  return (
    <Modal
      open
      width={760}
      title={t(known ? "template.edit" : "template.add")}
      okText={t("template.save")}
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
          <Form.Item name="name" label={t("template.name")} rules={[need]}>
            <Input autoFocus maxLength={128} />
          </Form.Item>
          <Form.Item name="name_en" label={t("template.name_en")} rules={[need]}>
            <Input maxLength={128} />
          </Form.Item>
          <Form.Item
            name="code"
            label={t("template.code")}
            rules={[need, { pattern: /^[A-Za-z0-9_-]*$/, message: t("template.code_rule") }]}
            normalize={(value: string) => value.toUpperCase()}
          >
            <Input maxLength={64} className="mono" disabled={known} />
          </Form.Item>
          <Form.Item name="source" label={t("template.source")}>
            <Input maxLength={256} placeholder={t("template.source_hint")} />
          </Form.Item>
          <Form.Item name="modality" label={t("phrase.modality")} rules={[need]}>
            <Select options={MODALITIES.map((value) => ({ value, label: value }))} />
          </Form.Item>
          <Form.Item name="body_part" label={t("phrase.body_part")} normalize={(value: string | undefined) => (value ?? "").toUpperCase()}>
            <AutoComplete options={parts.map((value) => ({ value }))} maxLength={16} allowClear placeholder={t("phrase.any")} />
          </Form.Item>
        </div>
        {SECTIONS.map((section) => (
          <Form.Item key={section} name={section} label={t(`section.${section}`)} rules={section === "advice" ? [] : [need]}>
            <Input.TextArea autoSize={{ minRows: section === "findings" ? 5 : 2, maxRows: 14 }} maxLength={20_000} />
          </Form.Item>
        ))}
        <p className={css.placesLabel}>{t("template.places_hint")}</p>
        {problem !== null && (
          <p role="alert" className={css.problem}>
            {problemText(t, problem)}
          </p>
        )}
      </Form>
    </Modal>
  );
}
