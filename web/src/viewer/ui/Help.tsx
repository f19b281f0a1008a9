import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { BIR, keysFor, type Command } from "../model/keymap";
import { keyLabel } from "./keyLabel";
import css from "./Viewer.module.css";

const GROUPS: readonly { name: string; commands: readonly Command[] }[] = [
  { name: "tools", commands: ["tool.window", "tool.scroll", "tool.zoom", "tool.pan"] },
  {
    name: "measure",
    commands: [
      "tool.length",
      "tool.angle",
      "tool.ellipse",
      "tool.rectangle",
      "tool.freehand",
      "tool.probe",
      "measure.delete",
    ],
  },
  {
    name: "move",
    commands: [
      "image.next",
      "image.previous",
      "image.forward",
      "image.back",
      "image.first",
      "image.last",
      "series.next",
      "series.previous",
    ],
  },
  {
    name: "picture",
    commands: [
      "preset.1",
      "image.invert",
      "image.rotate",
      "image.flip_horizontal",
      "image.flip_vertical",
      "view.reset",
      "view.cine",
    ],
  },
  {
    name: "view",
    commands: [
      "view.overlay",
      "view.reference_lines",
      "layout.1x1",
      "layout.1x2",
      "layout.2x2",
      "view.print",
      "view.help",
    ],
  },
];

export function Help({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation("viewer");
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    box.current?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <div className={css.helpBack} onClick={onClose} role="presentation">
      <div
        ref={box}
        className={css.help}
        role="dialog"
        aria-modal="true"
        aria-label={t("help.title")}
        tabIndex={-1}
        onClick={(event) => event.stopPropagation()}
      >
        <div className={css.helpHead}>
          <h2>{t("help.title")}</h2>
          <button type="button" className={css.button} onClick={onClose}>
            {t("help.close")}
          </button>
        </div>
        <div className={css.helpGroups}>
          {GROUPS.map(({ name, commands }) => (
            <section key={name}>
              <h3>{t(`help.group.${name}`)}</h3>
              <dl>
                {commands.map((command) => (
                  <div key={command} className={css.helpRow}>
                    <dt>
                      {command === "preset.1" ? (
                        <>
                          <kbd>1</kbd>–<kbd>9</kbd>
                        </>
                      ) : (
                        keysFor(BIR, command)
                          .slice(0, 2)
                          .map((key) => <kbd key={key}>{keyLabel(key)}</kbd>)
                      )}
                    </dt>
                    <dd>{t(command === "preset.1" ? "help.presets" : `command.${command}`)}</dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
          <section>
            <h3>{t("help.group.mouse")}</h3>
            <dl>
              {(["left", "middle", "right", "wheel"] as const).map((button) => (
                <div key={button} className={css.helpRow}>
                  <dt>{t(`help.mouse.${button}`)}</dt>
                  <dd>{t(`help.mouse.${button}.does`)}</dd>
                </div>
              ))}
            </dl>
          </section>
        </div>
        <p className={css.helpFoot}>{t("help.source")}</p>
      </div>
    </div>
  );
}
