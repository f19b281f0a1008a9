import { InboxOutlined } from "@ant-design/icons";
import type { ReactNode } from "react";
import css from "./States.module.css";

/** An empty list says what it would hold and what to do first. */
export function Empty({ title, hint, action, icon }: { title: ReactNode; hint?: ReactNode; action?: ReactNode; icon?: ReactNode }) {
  return (
    <div className={css.state}>
      <div className={css.icon} aria-hidden>
        {icon ?? <InboxOutlined />}
      </div>
      <div className={css.title}>{title}</div>
      {hint !== undefined && <div className={css.hint}>{hint}</div>}
      {action !== undefined && <div className={css.action}>{action}</div>}
    </div>
  );
}
