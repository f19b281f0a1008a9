import type { ReactNode } from "react";
import css from "./PageFrame.module.css";

interface PageFrameProps {
  title?: ReactNode;
  /** Small words beside the title, for example the day. */
  aside?: ReactNode;
  actions?: ReactNode;
  /** Fills the height and lets the content scroll by itself. */
  fill?: boolean;
  children: ReactNode;
}

export function PageFrame({ title, aside, actions, fill = false, children }: PageFrameProps) {
  return (
    <div className={fill ? `${css.frame} ${css.fill}` : css.frame}>
      {title !== undefined && (
        <header className={css.head}>
          <h1 className={css.title}>{title}</h1>
          {aside !== undefined && <div className={css.aside}>{aside}</div>}
          {actions !== undefined && <div className={css.actions}>{actions}</div>}
        </header>
      )}
      <div className={css.body}>{children}</div>
    </div>
  );
}

/** A raised block with an optional heading. */
export function Panel({
  title,
  extra,
  children,
  flush = false,
  className,
}: {
  title?: ReactNode;
  extra?: ReactNode;
  children: ReactNode;
  flush?: boolean;
  className?: string | undefined;
}) {
  return (
    <section className={className ? `${css.panel} ${className}` : css.panel}>
      {(title !== undefined || extra !== undefined) && (
        <header className={css.panelHead}>
          {title !== undefined && <h2 className={css.panelTitle}>{title}</h2>}
          {extra !== undefined && <div className={css.panelExtra}>{extra}</div>}
        </header>
      )}
      <div className={flush ? css.flush : css.panelBody}>{children}</div>
    </section>
  );
}
