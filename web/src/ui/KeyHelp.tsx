import { Modal } from "antd";
import { useTranslation } from "react-i18next";
import type { KeyGroup } from "@/lib/keyHelp";
import css from "./KeyHelp.module.css";

/** The help of `?`: the keys of the open page and those that act everywhere. */
export function KeyHelp({ groups, onClose }: { groups: readonly KeyGroup[]; onClose: () => void }) {
  const { t } = useTranslation("common");
  return (
    <Modal open onCancel={onClose} footer={null} width="min(720px, 94vw)" title={t("keys.title")}>
      <div className={css.groups}>
        {groups.map(({ title, rows }) => (
          <section key={title}>
            <h3 className={css.title}>{title}</h3>
            <dl className={css.rows}>
              {rows.map(([keys, does]) => (
                <div key={does} className={css.row}>
                  <dt>
                    {keys.map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}
