import { CheckCircleOutlined, CloseCircleOutlined, PlusOutlined } from "@ant-design/icons";
import { App, Button, Form, Input, InputNumber, Modal, Select, Space } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useMay } from "@/api/session";
import type { Peer } from "@/api/types";
import { stamp } from "@/lib/time";
import { Empty } from "@/ui/Empty";
import { Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { Tag } from "@/ui/Tags";
import { useAct } from "./useAct";
import { usePages } from "./usePages";

const kinds = ["modality", "archive", "workstation", "other"] as const;
interface NewPeer {
  aet: string;
  host: string;
  port: number;
  kind: (typeof kinds)[number];
}

/** Who may call us by DICOM and whom we may call; an echo tells whether the line works now. */
export function Peers() {
  const { t } = useTranslation("admin");
  const { modal } = App.useApp();
  const may = useMay();
  const manage = may("peer.manage");
  const [adding, setAdding] = useState(false);
  const [form] = Form.useForm<NewPeer>();
  const pages = usePages<Peer>(["peers"], "/peers");
  const keys = [["peers"]];
  const add = useAct((peer: NewPeer) => api.post<Peer>("/peers", peer), {
    keys,
    done: t("peer.added"),
    onDone: () => {
      setAdding(false);
      form.resetFields();
    },
  });
  const remove = useAct((aet: string) => api.delete(path`/peers/${aet}`), { keys, done: t("peer.removed") });
  const echo = useAct((aet: string) => api.post<unknown>(path`/peers/${aet}/echo`), { keys });
  const columns: Column<Peer>[] = [
    { key: "aet", title: t("peer.aet"), render: (row) => <strong className="mono">{row.aet}</strong> },
    { key: "kind", title: t("peer.kind"), width: 96, wide: true, render: (row) => t(`peer.kind.${row.kind}`, { defaultValue: row.kind }) },
    { key: "address", title: t("peer.address"), render: (row) => <span className="mono">{`${row.host}:${row.port}`}</span> },
    {
      key: "echo",
      title: t("peer.echo_last"),
      render: (row) =>
        row.last_echo === null ? (
          <span>{t("peer.never")}</span>
        ) : row.last_echo.ok ? (
          <Tag tone="good" icon={<CheckCircleOutlined />} title={stamp(row.last_echo.at)}>
            {t("peer.echo_ok", { count: row.last_echo.ms })}
          </Tag>
        ) : (
          <Tag tone="warn" icon={<CloseCircleOutlined />} title={stamp(row.last_echo.at)}>
            {t(`peer.fault.${row.last_echo.error ?? "status"}`, { defaultValue: row.last_echo.error ?? "" })}
          </Tag>
        ),
    },
    { key: "received", title: t("peer.received"), numeric: true, align: "right", width: 96, wide: true, render: (row) => row.received },
    { key: "seen", title: t("peer.seen"), numeric: true, width: 136, wide: true, render: (row) => stamp(row.last_seen) },
    ...(manage
      ? [
          {
            key: "actions",
            title: <span className="visually-hidden">{t("actions")}</span>,
            align: "right" as const,
            render: (row: Peer) => (
              <Space size={4}>
                <Button size="small" loading={echo.isPending && echo.variables === row.aet} onClick={() => echo.mutate(row.aet)}>
                  {t("peer.echo")}
                </Button>
                <Button
                  size="small"
                  danger
                  type="text"
                  onClick={() =>
                    modal.confirm({ title: t("peer.remove_ask", { aet: row.aet }), content: t("peer.remove_hint"), okText: t("peer.remove"), okButtonProps: { danger: true }, cancelText: t("common:cancel"), onOk: () => remove.mutateAsync(row.aet).catch(() => undefined) })
                  }
                >
                  {t("peer.remove")}
                </Button>
              </Space>
            ),
          },
        ]
      : []),
  ];
  return (
    <Panel
      flush
      title={t("peer.title")}
      extra={
        manage && (
          <Button size="small" type="primary" icon={<PlusOutlined />} onClick={() => setAdding(true)}>
            {t("peer.add")}
          </Button>
        )
      }
    >
      <RowTable label={t("tab.peers")} columns={columns} {...pages} rowKey={(row) => row.aet} empty={<Empty title={t("peer.none")} hint={t("peer.none_hint")} />} />
      <Modal open={adding} title={t("peer.add")} okText={t("peer.add")} cancelText={t("common:cancel")} confirmLoading={add.isPending} onCancel={() => setAdding(false)} onOk={() => form.submit()} destroyOnHidden>
        <Form form={form} layout="vertical" requiredMark={false} initialValues={{ port: 104, kind: "modality" }} onFinish={(peer: NewPeer) => add.mutate(peer)}>
          <Form.Item
            name="aet"
            label={t("peer.aet")}
            rules={[{ required: true, message: t("need") }, { pattern: /^[\x20-\x5b\x5d-\x7e]{1,16}$/, message: t("peer.aet_rule") }]}
            normalize={(value: string) => value.toUpperCase()}
          >
            <Input autoFocus maxLength={16} className="mono" />
          </Form.Item>
          <Form.Item name="host" label={t("peer.host")} rules={[{ required: true, whitespace: true, message: t("need") }]}>
            <Input maxLength={253} className="mono" />
          </Form.Item>
          <Form.Item name="port" label={t("peer.port")} rules={[{ required: true, message: t("need") }]}>
            <InputNumber min={1} max={65535} style={{ width: 140 }} />
          </Form.Item>
          <Form.Item name="kind" label={t("peer.kind")}>
            <Select options={kinds.map((value) => ({ value, label: t(`peer.kind.${value}`) }))} />
          </Form.Item>
        </Form>
      </Modal>
    </Panel>
  );
}
