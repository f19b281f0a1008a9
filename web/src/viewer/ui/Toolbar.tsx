import { Dropdown } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { BIR, keysFor, type Command } from "../model/keymap";
import { presetsFor } from "../model/presets";
import { mayMirror } from "../model/safety";
import type { ViewerSession, ViewState } from "../session/ViewerSession";
import { Icon, type IconName } from "./icons";
import { keyLabel } from "./keyLabel";
import css from "./Viewer.module.css";

interface Props {
  session: ViewerSession;
  state: ViewState;
  run: (command: Command) => void;
  extra?: ReactNode;
}

const TOOLS: readonly { command: Command; icon: IconName; tool: ViewState["tool"] }[] = [
  { command: "tool.window", icon: "window", tool: "window" },
  { command: "tool.scroll", icon: "scroll", tool: "scroll" },
  { command: "tool.zoom", icon: "zoom", tool: "zoom" },
  { command: "tool.pan", icon: "pan", tool: "pan" },
];
const MEASURES: typeof TOOLS = [
  { command: "tool.length", icon: "length", tool: "length" },
  { command: "tool.angle", icon: "angle", tool: "angle" },
  { command: "tool.ellipse", icon: "ellipse", tool: "ellipse" },
  { command: "tool.rectangle", icon: "rectangle", tool: "rectangle" },
  { command: "tool.freehand", icon: "freehand", tool: "freehand" },
  { command: "tool.probe", icon: "probe", tool: "probe" },
];

export function Toolbar({ session, state, run, extra }: Props) {
  const { t } = useTranslation("viewer");
  const pane = state.panes[state.active];
  const modality = pane?.ref?.modality ?? "";
  const presets = presetsFor(modality, session.headerWindow());

  const button = (command: Command, icon: IconName, options: { pressed?: boolean; disabled?: boolean } = {}) => {
    const key = keysFor(BIR, command)[0];
    const name = t(`command.${command}`);
    return (
      <button
        key={command}
        type="button"
        className={options.pressed === true ? `${css.tool} ${css.toolOn}` : css.tool}
        aria-label={name}
        aria-pressed={options.pressed}
        disabled={options.disabled}
        title={key === undefined ? name : t("tip", { name, key: keyLabel(key) })}
        onClick={() => run(command)}
      >
        <Icon name={icon} />
      </button>
    );
  };

  return (
    <div className={css.toolbar} role="toolbar" aria-label={t("toolbar")}>
      <div className={css.toolGroup}>
        {TOOLS.map(({ command, icon, tool }) => button(command, icon, { pressed: state.tool === tool }))}
      </div>
      <div className={css.toolGroup}>
        {MEASURES.map(({ command, icon, tool }) => button(command, icon, { pressed: state.tool === tool }))}
        {button("measure.delete", "bin")}
      </div>
      <div className={css.toolGroup}>
        <Dropdown
          trigger={["click"]}
          disabled={presets.length === 0}
          menu={{
            items: presets.map((preset, at) => ({
              key: String(at + 1),
              label: (
                <span className={css.preset}>
                  <kbd>{at + 1}</kbd>
                  <span>{t(`preset.${preset.id}`)}</span>
                  <span className="num">
                    {t("preset.values", { width: Math.round(preset.width), center: Math.round(preset.center) })}
                  </span>
                </span>
              ),
            })),
            onClick: ({ key }) => session.preset(Number(key)),
          }}
        >
          <button type="button" className={`${css.tool} ${css.toolWide}`} disabled={presets.length === 0}>
            {t("presets")}
          </button>
        </Dropdown>
        {button("image.invert", "invert", { pressed: pane?.invert === true })}
        {button("image.rotate", "rotate")}
        {button("image.flip_horizontal", "flip", { pressed: pane?.mirrored === true, disabled: !mayMirror(modality) })}
        {button("view.reset", "reset")}
      </div>
      <div className={css.toolGroup}>
        {button("view.cine", pane?.playing === true ? "stop" : "cine", { pressed: pane?.playing === true })}
        {button("view.reference_lines", "lines", { pressed: state.referenceLines })}
        {button("view.overlay", "overlay", { pressed: state.overlay !== "off" })}
      </div>
      <div className={css.toolGroup}>
        {button("layout.1x1", "one", { pressed: state.layout === "1x1" })}
        {button("layout.1x2", "two", { pressed: state.layout === "1x2" })}
        {button("layout.2x2", "four", { pressed: state.layout === "2x2" })}
      </div>
      <div className={css.toolGroup}>
        {button("view.print", "print")}
        {button("view.help", "help")}
      </div>
      {extra !== undefined && <div className={css.toolExtra}>{extra}</div>}
    </div>
  );
}
