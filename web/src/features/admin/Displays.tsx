import { PlusOutlined } from "@ant-design/icons";
import { Button, Form, Input, Modal, Select, Typography } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useDirectory } from "@/api/session";
import type { Display, NewDisplay } from "@/api/types";
import { named } from "@/lib/i18n";
import { Empty } from "@/ui/Empty";
import { Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { useAct } from "./useAct";
import { usePages } from "./usePages";
import css from "./Admin.module.css";

/** Screens in waiting areas. The key is shown once, inside the address that the screen opens. */
export function Displays() {
  const { t, i18n } = useTranslation("admin");
  const directory = useDirectory();
  const [adding, setAdding] = useState(false);
  const [made, setMade] = useState<NewDisplay | null>(null);
  const [form] = Form.useForm<{ name: string; room_ids: string[] }>();
  const pages = usePages<Display>(["displays", "list"], "/displays");
  const add = useAct((body: { name: string; room_ids: string[] }) => api.post<NewDisplay>("/displays", body).then(setMade), {
    keys: [["displays"]],
    onDone: () => {
      setAdding(false);
      form.resetFields();
    },
  });
  const roomName = (id: string) => {
    const room = directory?.rooms.find((each) => each.id === id);
    return room ? named(room, i18n.language) : id;
  };
  const columns: Column<Display>[] = [
    { key: "name", title: t("display.name"), render: (row) => <strong>{row.name}</strong> },
    { key: "rooms", title: t("display.rooms"), render: (row) => row.room_ids.map(roomName).join(t("app:comma")) },
    {
      key: "open",
      title: <span className="visually-hidden">{t("actions")}</span>,
      align: "right",
      width: 120,
      render: (row) => (
        <a href={`/display/${encodeURIComponent(row.id)}`} target="_blank" rel="noopener">
          {t("display.open")}
        </a>
      ),
    },
  ];
  const address = made ? `${window.location.origin}/display/${encodeURIComponent(made.id)}#key=${encodeURIComponent(made.key)}` : "";
  return (
    <Panel
      flush
      title={t("display.title")}
      extra={
        <Button size="small" type="primary" icon={<PlusOutlined />} onClick={() => setAdding(true)}>
          {t("display.add")}
        </Button>
      }
    >
      <RowTable label={t("tab.displays")} columns={columns} {...pages} rowKey={(row) => row.id} empty={<Empty title={t("display.none")} hint={t("display.none_hint")} />} />
      <Modal open={adding} title={t("display.add")} okText={t("display.add")} cancelText={t("common:cancel")} confirmLoading={add.isPending} onCancel={() => setAdding(false)} onOk={() => form.submit()} destroyOnHidden>
        <Form form={form} layout="vertical" requiredMark={false} onFinish={(body: { name: string; room_ids: string[] }) => add.mutate(body)}>
          <Form.Item name="name" label={t("display.name")} rules={[{ required: true, whitespace: true, message: t("need") }]}>
            <Input autoFocus maxLength={64} />
          </Form.Item>
          <Form.Item name="room_ids" label={t("display.rooms")} extra={t("display.rooms_hint")} rules={[{ required: true, message: t("need") }]}>
            <Select mode="multiple" showSearch={{ optionFilterProp: "label" }} options={(directory?.rooms ?? []).map((room) => ({ value: room.id, label: named(room, i18n.language) }))} />
          </Form.Item>
        </Form>
      </Modal>
      <Modal
        open={made !== null}
        title={t("display.made")}
        onCancel={() => setMade(null)}
        footer={
          <Button type="primary" onClick={() => setMade(null)}>
            {t("common:close")}
          </Button>
        }
      >
        <div className={css.stack}>
          <p>{t("display.made_hint")}</p>
          <Typography.Paragraph copyable={{ text: address }} className="mono" style={{ margin: 0, overflowWrap: "anywhere" }}>
            {address}
          </Typography.Paragraph>
        </div>
      </Modal>
    </Panel>
  );
}
