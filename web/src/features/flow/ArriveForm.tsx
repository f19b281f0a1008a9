import { useMutation, useQueryClient } from "@tanstack/react-query";
import { App, Button, Form, Input, Segmented, Select } from "antd";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { problemText } from "@/api/problem";
import { useDirectory } from "@/api/session";
import type { Order, QueueEntry } from "@/api/types";
import { named } from "@/lib/i18n";

type Mode = "appointment" | "walk_in" | "emergency" | "bedside";

/** With an appointment, check-in is one key. Without one the record must say why. */
export function ArriveForm({ order, onArrived, onCancel }: { order: Order; onArrived: (entry: QueueEntry) => void; onCancel: () => void }) {
  const { t, i18n } = useTranslation("flow");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const directory = useDirectory();
  const booked = order.appointment !== null && order.state === "scheduled";
  const [mode, setMode] = useState<Mode>(booked ? "appointment" : order.priority === "emergency" ? "emergency" : "walk_in");
  const [form] = Form.useForm<{ device_id?: string; reason?: string }>();
  const modes: readonly Mode[] = booked ? ["appointment", "emergency", "bedside"] : ["walk_in", "emergency", "bedside"];
  const devices = (directory?.devices ?? []).filter(({ active, modality }) => active && modality === order.modality);

  // The directory may come after the form: the likeliest device is chosen then, unless somebody was faster.
  const first = devices[0]?.id;
  useEffect(() => {
    if (first !== undefined && form.getFieldValue("device_id") === undefined) form.setFieldValue("device_id", first);
  }, [first, form, mode]);

  const arrive = useMutation({
    mutationFn: ({ device_id, reason }: { device_id?: string; reason?: string }) =>
      api.post<QueueEntry>(path`/orders/${order.id}/arrive`, {
        mode,
        ...(mode !== "appointment" && device_id ? { device_id } : {}),
        ...(mode !== "appointment" && reason?.trim() ? { reason: reason.trim() } : {}),
      }),
    onSuccess: onArrived,
    onError: (error) => void message.error(problemText(t, error)),
    onSettled: () => Promise.all([queries.invalidateQueries({ queryKey: ["orders"] }), queries.invalidateQueries({ queryKey: ["queue"] })]),
  });

  return (
    <Form
      form={form}
      layout="vertical"
      requiredMark={false}
      initialValues={{ device_id: order.appointment?.device_id ?? first, reason: "" }}
      onFinish={(values: { device_id?: string; reason?: string }) => !arrive.isPending && arrive.mutate(values)}
    >
      <Form.Item label={t("arrive.mode")}>
        <Segmented<Mode> block value={mode} onChange={setMode} options={modes.map((value) => ({ value, label: t(`arrive.${value}`) }))} />
      </Form.Item>
      {mode !== "appointment" && (
        <>
          <Form.Item name="device_id" label={t("arrive.device")} rules={[{ required: true, message: t("arrive.device_need") }]}>
            <Select
              showSearch={{ optionFilterProp: "label" }}
              options={devices.map((device) => {
                const room = directory?.rooms.find(({ id }) => id === device.room_id);
                return { value: device.id, label: `${device.name} · ${room ? named(room, i18n.language) : ""}` };
              })}
            />
          </Form.Item>
          <Form.Item label={t("common:reason")} required>
            <Form.Item name="reason" noStyle rules={[{ required: true, whitespace: true, message: t("common:reason.need") }]}>
              <Input autoFocus maxLength={200} aria-label={t("common:reason")} />
            </Form.Item>
            <div style={{ display: "flex", flexWrap: "wrap", gap: 6, marginTop: 6 }}>
              {t(`suggest.${mode}`)
                .split("|")
                .map((reason) => (
                  <Button key={reason} size="small" onClick={() => form.setFieldValue("reason", reason)}>
                    {reason}
                  </Button>
                ))}
            </div>
          </Form.Item>
        </>
      )}
      <div style={{ display: "flex", gap: 8 }}>
        <Button type="primary" htmlType="submit" loading={arrive.isPending} autoFocus={mode === "appointment"}>
          {t("arrive.submit")}
        </Button>
        <Button onClick={onCancel}>{t("common:cancel")}</Button>
      </div>
    </Form>
  );
}
