import { CopyOutlined, PrinterOutlined } from "@ant-design/icons";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { App, Button, Checkbox, Modal, Popconfirm, Segmented, Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { NewShare, Share } from "@/api/types";
import { stamp } from "@/lib/time";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { Tag, type Tone } from "@/ui/Tags";
import { shares, sharesQuery } from "./api";
import css from "./Reporting.module.css";

const DAYS = [7, 30, 90, 365];
const TONES: Record<Share["state"], Tone> = { active: "good", expired: "faint", revoked: "warn" };

export function ShareDialog({ orderId, onClose }: { orderId: string; onClose: () => void }) {
  const { t } = useTranslation("reporting");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const list = useQuery(sharesQuery(orderId));
  const [days, setDays] = useState(30);
  const [images, setImages] = useState(true);
  const [made, setMade] = useState<NewShare | null>(null);
  const refresh = (): Promise<void> => queries.invalidateQueries({ queryKey: sharesQuery(orderId).queryKey });
  const create = useMutation({
    mutationFn: () => shares.create(orderId, days, images),
    onSuccess: async (share) => {
      setMade(share);
      await refresh();
    },
  });
  const revoke = useMutation({
    mutationFn: (id: string) => shares.revoke(id),
    onSuccess: async (_, id) => {
      if (made?.id === id) setMade(null);
      await refresh();
    },
  });
  const address = made === null ? "" : new URL(made.url, window.location.origin).href;

  return (
    <Modal open title={t("share.title")} footer={null} onCancel={onClose} width={560}>
      {made === null ? (
        <>
          <p className={css.dim}>{t("share.lead")}</p>
          <div className={css.shareForm}>
            <span id="share-days">{t("share.valid")}</span>
            <Segmented
              aria-labelledby="share-days"
              value={days}
              onChange={setDays}
              options={DAYS.map((value) => ({ value, label: t("share.days", { count: value }) }))}
            />
            <Checkbox checked={images} onChange={(event) => setImages(event.target.checked)}>
              {t("share.images")}
            </Checkbox>
            <Button type="primary" loading={create.isPending} onClick={() => create.mutate()}>
              {t("share.create")}
            </Button>
          </div>
          {create.isError && <Failure compact error={create.error} />}
        </>
      ) : (
        <div className={css.shareMade}>
          <img
            className={css.qr}
            src={`data:image/svg+xml;utf8,${encodeURIComponent(made.qr_svg)}`}
            alt={t("share.qr")}
          />
          <div className={css.shareFacts}>
            <p>{t("share.hand_over")}</p>
            <p className="mono">{address}</p>
            <p className={css.dim}>{t("share.expires", { time: stamp(made.expires_at) })}</p>
            <span className={css.recoveryActions}>
              <Button
                icon={<CopyOutlined />}
                onClick={() => {
                  void navigator.clipboard.writeText(address).then(() => message.success(t("common:copied")));
                }}
              >
                {t("common:copy")}
              </Button>
              <Button icon={<PrinterOutlined />} onClick={() => printCode(made.qr_svg, address, t("share.slip"))}>
                {t("share.print")}
              </Button>
              <Button onClick={() => setMade(null)}>{t("share.another")}</Button>
            </span>
            <p className={css.dim}>{t("share.once")}</p>
          </div>
        </div>
      )}
      <h3 className={css.sectionName}>{t("share.list")}</h3>
      {list.isPending ? (
        <Skeleton active title={false} paragraph={{ rows: 2 }} />
      ) : list.isError ? (
        <Failure compact error={list.error} onRetry={() => void list.refetch()} />
      ) : list.data.length === 0 ? (
        <Empty title={t("share.none")} />
      ) : (
        <ul className={css.shares}>
          {list.data.map((share) => (
            <li key={share.id} className={css.share}>
              <Tag tone={TONES[share.state]}>{t(`share.state.${share.state}`)}</Tag>
              <span className={css.shareText}>
                <span>
                  {t("share.made_by", { name: share.created_by, time: stamp(share.created_at) })}
                  {!share.images && <span className={css.dim}>{t("share.no_images")}</span>}
                </span>
                <span className={css.dim}>
                  {t("share.expires", { time: stamp(share.expires_at) })}
                  {t("share.opens", { count: share.opens })}
                  {share.last_opened_at !== null && t("share.last", { time: stamp(share.last_opened_at) })}
                </span>
              </span>
              {share.state === "active" && (
                <Popconfirm
                  title={t("share.revoke_sure")}
                  okText={t("share.revoke")}
                  okButtonProps={{ danger: true }}
                  onConfirm={() => revoke.mutate(share.id)}
                >
                  <Button size="small" danger loading={revoke.isPending && revoke.variables === share.id}>
                    {t("share.revoke")}
                  </Button>
                </Popconfirm>
              )}
            </li>
          ))}
        </ul>
      )}
      {revoke.isError && <Failure compact error={revoke.error} />}
    </Modal>
  );
}

/** A slip with nothing but the code and the address: no name is on it. */
function printCode(svg: string, address: string, title: string): void {
  const frame = document.createElement("iframe");
  frame.setAttribute("aria-hidden", "true");
  frame.style.cssText = "position:fixed;width:0;height:0;border:0;visibility:hidden";
  document.body.append(frame);
  const target = frame.contentDocument;
  const view = frame.contentWindow;
  if (target === null || view === null) return;
  const heading = target.createElement("h1");
  heading.textContent = title;
  const code = target.createElement("img");
  code.src = `data:image/svg+xml;utf8,${encodeURIComponent(svg)}`;
  code.style.width = "60mm";
  const link = target.createElement("p");
  link.textContent = address;
  target.body.style.cssText = "font-family:sans-serif;text-align:center;overflow-wrap:anywhere";
  target.body.append(heading, code, link);
  view.addEventListener("afterprint", () => frame.remove(), { once: true });
  void code.decode().then(
    () => view.print(),
    () => frame.remove(),
  );
}
