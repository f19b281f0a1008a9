import { Form, Input, Modal, Select } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useDirectory } from "@/api/session";
import type { QueueEntry } from "@/api/types";
import { named } from "@/lib/i18n";
import type { QueueActs } from "./acts";

/** To another device, with the reason; the worklist item follows the patient. */
export function TransferDialog({ entry, onClose, onTransfer }: { entry: QueueEntry; onClose: () => void; onTransfer: QueueActs["transfer"] }) {
  const { t, i18n } = useTranslation("flow");
  const directory = useDirectory();
  const [busy, setBusy] = useState(false);
  const [form] = Form.useForm<{ device_id: string; reason: string }>();
  const current = directory?.devices.find(({ id }) => id === entry.device_id);
  const devices = (directory?.devices ?? []).filter(({ id, active, modality }) => active && id !== entry.device_id && (!current || modality === current.modality));
  return (
    <Modal
      open
      title={t("transfer.title", { ticket: entry.ticket })}
      okText={t("act.transfer")}
      cancelText={t("common:cancel")}
      confirmLoading={busy}
      onCancel={onClose}
      onOk={() => form.submit()}
    >
      <Form
        form={form}
        layout="vertical"
        requiredMark={false}
        onFinish={async ({ device_id, reason }: { device_id: string; reason: string }) => {
          const device = devices.find(({ id }) => id === device_id);
          if (!device) return;
          setBusy(true);
          try {
            await onTransfer(entry, { room_id: device.room_id, device_id, reason: reason.trim() });
            onClose();
          } catch {
            // The message has told why; the dialog keeps what was entered.
          } finally {
            setBusy(false);
          }
        }}
      >
        <Form.Item name="device_id" label={t("transfer.to")} rules={[{ required: true, message: t("transfer.to_need") }]}>
          <Select
            autoFocus
            showSearch={{ optionFilterProp: "label" }}
            options={devices.map((device) => {
              const room = directory?.rooms.find(({ id }) => id === device.room_id);
              return { value: device.id, label: `${device.name} · ${room ? named(room, i18n.language) : ""}` };
            })}
          />
        </Form.Item>
        <Form.Item name="reason" label={t("common:reason")} rules={[{ required: true, whitespace: true, message: t("common:reason.need") }]}>
          <Input maxLength={200} />
        </Form.Item>
      </Form>
    </Modal>
  );
}
