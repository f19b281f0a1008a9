import { CheckCircleOutlined, PlusOutlined, StopOutlined } from "@ant-design/icons";
import { Button, Checkbox, Form, Input, InputNumber, Modal, Select } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useMay } from "@/api/session";
import type { ResultReceiver } from "@/api/types";
import { Empty } from "@/ui/Empty";
import { Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { Tag } from "@/ui/Tags";
import { useAct } from "./useAct";
import { usePages } from "./usePages";

const charsets = ["UNICODE UTF-8", "GB 18030-2000"] as const;
const fresh: ResultReceiver = { name: "", host: "", port: 2575, application: "", facility: "", charset: charsets[0], tls: false, active: true };

/** Who gets signed reports by HL7. */
export function Receivers() {
  const { t } = useTranslation("admin");
  const may = useMay();
  const manage = may("message.repair");
  const pages = usePages<ResultReceiver>(["receivers"], "/receivers");
  const [open, setOpen] = useState<ResultReceiver | null>(null);
  const [form] = Form.useForm<ResultReceiver>();
  const save = useAct((receiver: ResultReceiver) => api.put<ResultReceiver>(path`/receivers/${receiver.name}`, receiver), {
    keys: [["receivers"]],
    done: t("common:saved"),
    onDone: () => setOpen(null),
  });
  const columns: Column<ResultReceiver>[] = [
    { key: "name", title: t("receiver.name"), render: (row) => <strong>{row.name}</strong> },
    { key: "address", title: t("peer.address"), render: (row) => <span className="mono">{`${row.host}:${row.port}`}</span> },
    { key: "application", title: t("receiver.application"), wide: true, render: (row) => <span className="mono">{[row.application, row.facility].filter(Boolean).join(" | ")}</span> },
    { key: "charset", title: t("receiver.charset"), wide: true, render: (row) => <span className="mono">{row.charset}</span> },
    { key: "tls", title: t("receiver.tls"), width: 64, wide: true, render: (row) => (row.tls ? t("common:yes") : t("common:no")) },
    {
      key: "active",
      title: t("user.state"),
      width: 96,
      render: (row) =>
        row.active ? (
          <Tag tone="good" icon={<CheckCircleOutlined />}>
            {t("user.active")}
          </Tag>
        ) : (
          <Tag tone="faint" icon={<StopOutlined />}>
            {t("user.inactive")}
          </Tag>
        ),
    },
  ];
  const known = open !== null && (pages.rows?.some(({ name }) => name === open.name) ?? false);
  const required = { required: true, whitespace: true, message: t("need") };
  return (
    <Panel
      flush
      title={t("receiver.title")}
      extra={
        manage && (
          <Button size="small" type="primary" icon={<PlusOutlined />} onClick={() => setOpen(fresh)}>
            {t("receiver.add")}
          </Button>
        )
      }
    >
      <RowTable
        label={t("tab.receivers")}
        columns={columns}
        {...pages}
        rowKey={(row) => row.name}
        {...(manage ? { onOpen: setOpen } : {})}
        empty={<Empty title={t("receiver.none")} hint={t("receiver.none_hint")} />}
      />
      <Modal open={open !== null} title={known ? open?.name : t("receiver.add")} okText={t("common:save")} cancelText={t("common:cancel")} confirmLoading={save.isPending} onCancel={() => setOpen(null)} onOk={() => form.submit()} destroyOnHidden>
        {open !== null && (
          <Form form={form} layout="vertical" requiredMark={false} preserve={false} initialValues={open} onFinish={(values: ResultReceiver) => save.mutate({ ...open, ...values })}>
            <Form.Item name="name" label={t("receiver.name")} rules={[required]}>
              <Input autoFocus={!known} disabled={known} maxLength={64} />
            </Form.Item>
            <Form.Item name="host" label={t("peer.host")} rules={[required]}>
              <Input className="mono" maxLength={253} />
            </Form.Item>
            <Form.Item name="port" label={t("peer.port")} rules={[{ required: true, message: t("need") }]}>
              <InputNumber min={1} max={65535} style={{ width: 140 }} />
            </Form.Item>
            <Form.Item name="application" label={t("receiver.msh5")}>
              <Input className="mono" maxLength={64} />
            </Form.Item>
            <Form.Item name="facility" label={t("receiver.msh6")}>
              <Input className="mono" maxLength={64} />
            </Form.Item>
            <Form.Item name="charset" label={t("receiver.charset")}>
              <Select options={charsets.map((value) => ({ value, label: value }))} />
            </Form.Item>
            <Form.Item name="tls" valuePropName="checked">
              <Checkbox>{t("receiver.tls_use")}</Checkbox>
            </Form.Item>
            <Form.Item name="active" valuePropName="checked">
              <Checkbox>{t("user.active")}</Checkbox>
            </Form.Item>
          </Form>
        )}
      </Modal>
    </Panel>
  );
}
