import type { ThemeConfig } from "antd";

/**
 * The house style, in one place. The Ant Design theme and the CSS variables of our own style sheets
 * (`var(--surface)` and so on) both come from here.
 *
 * 4 px grid; rows 32 px; text 13-14 px; one accent, a deep teal. Colour carries meaning only next to an
 * icon and a word; `emergency` is kept for emergencies, `ai` for what a machine suggested.
 */
export type Mode = "light" | "dark";

interface Palette {
  /** page background, raised surface, surface under the pointer, sunken surface */
  ground: string;
  surface: string;
  hover: string;
  sunken: string;
  line: string;
  lineStrong: string;
  text: string;
  textDim: string;
  textFaint: string;
  accent: string;
  accentHover: string;
  accentSoft: string;
  onAccent: string;
  rail: string;
  railText: string;
  railTextDim: string;
  railActive: string;
  neutral: string;
  neutralSoft: string;
  info: string;
  infoSoft: string;
  good: string;
  goodSoft: string;
  warn: string;
  warnSoft: string;
  emergency: string;
  emergencySoft: string;
  ai: string;
  aiSoft: string;
  focus: string;
  shadow: string;
}

export const palettes: Record<Mode, Palette> = {
  light: {
    ground: "#f3f6f6",
    surface: "#ffffff",
    hover: "#eef4f4",
    sunken: "#f7f9f9",
    line: "#dde5e5",
    lineStrong: "#c2cfcf",
    text: "#16211f",
    textDim: "#4c5a58",
    textFaint: "#5e6c6a",
    accent: "#0b6e6e",
    accentHover: "#095a5a",
    accentSoft: "#e0f0ef",
    onAccent: "#ffffff",
    rail: "#0e2a2b",
    railText: "#e6f1f0",
    railTextDim: "#9dbab8",
    railActive: "#17494a",
    neutral: "#52605e",
    neutralSoft: "#e9eeee",
    info: "#1f5fa8",
    infoSoft: "#e3eefa",
    good: "#1d6f42",
    goodSoft: "#e0f2e7",
    warn: "#8a5200",
    warnSoft: "#fdf0d8",
    emergency: "#b3171f",
    emergencySoft: "#fde7e7",
    ai: "#6a3fb5",
    aiSoft: "#f0eafb",
    focus: "#0f8f8d",
    shadow: "0 1px 2px rgb(10 40 40 / 8%), 0 4px 16px rgb(10 40 40 / 6%)",
  },
  dark: {
    ground: "#0f1514",
    surface: "#171f1e",
    hover: "#1f2a29",
    sunken: "#121918",
    line: "#2a3735",
    lineStrong: "#3c4c4a",
    text: "#e4ecea",
    textDim: "#a9b8b5",
    textFaint: "#8b9b98",
    accent: "#3fb5b0",
    accentHover: "#5cc7c2",
    accentSoft: "#16393a",
    onAccent: "#04201f",
    rail: "#0a1211",
    railText: "#dfeae8",
    railTextDim: "#8fa6a3",
    railActive: "#16393a",
    neutral: "#a9b8b5",
    neutralSoft: "#263230",
    info: "#7db3ee",
    infoSoft: "#1a2c40",
    good: "#6cc792",
    goodSoft: "#17301f",
    warn: "#e5b155",
    warnSoft: "#37290f",
    emergency: "#ff8a86",
    emergencySoft: "#41191a",
    ai: "#bca2f2",
    aiSoft: "#2b2142",
    focus: "#5cc7c2",
    shadow: "0 1px 2px rgb(0 0 0 / 40%), 0 6px 20px rgb(0 0 0 / 35%)",
  },
};

export const grid = 4;
export const rowHeight = 32;
export const radius = 6;
export const fontFamily =
  '"Noto Sans SC", "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
export const monoFamily = 'ui-monospace, "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace';

const kebab = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** `{ "--surface": "#fff", ... }` for the root element. */
export function cssVariables(mode: Mode): Record<string, string> {
  const variables: Record<string, string> = {
    "--row": `${rowHeight}px`,
    "--radius": `${radius}px`,
    "--font": fontFamily,
    "--mono": monoFamily,
  };
  for (const [name, value] of Object.entries(palettes[mode])) variables[`--${kebab(name)}`] = value;
  return variables;
}

export function applyMode(mode: Mode): void {
  const root = document.documentElement;
  root.dataset["theme"] = mode;
  root.style.colorScheme = mode;
  for (const [name, value] of Object.entries(cssVariables(mode))) root.style.setProperty(name, value);
}

/** The Ant Design theme without its algorithm, which the caller picks by mode (it is a large import). */
export function antTheme(mode: Mode): ThemeConfig {
  const p = palettes[mode];
  return {
    cssVar: { key: `my-${mode}` },
    hashed: false,
    token: {
      colorPrimary: p.accent,
      colorInfo: p.info,
      colorSuccess: p.good,
      colorWarning: p.warn,
      colorError: p.emergency,
      colorLink: p.accent,
      colorLinkHover: p.accentHover,
      colorTextBase: p.text,
      colorBgBase: p.surface,
      colorBgLayout: p.ground,
      colorBgContainer: p.surface,
      colorBgElevated: p.surface,
      colorText: p.text,
      colorTextSecondary: p.textDim,
      colorTextTertiary: p.textFaint,
      colorTextDescription: p.textDim,
      colorTextPlaceholder: p.textFaint,
      colorBorder: p.lineStrong,
      colorBorderSecondary: p.line,
      colorTextLightSolid: p.onAccent,
      borderRadius: radius,
      fontFamily,
      fontSize: 14,
      controlHeight: rowHeight,
      wireframe: false,
      motionDurationSlow: "0.16s",
      motionDurationMid: "0.12s",
    },
    components: {
      Table: {
        cellPaddingBlockSM: 5,
        cellPaddingInlineSM: 8,
        cellFontSizeSM: 13,
        headerBg: p.sunken,
        headerColor: p.textDim,
        headerSplitColor: "transparent",
        rowHoverBg: p.hover,
        borderColor: p.line,
        rowSelectedBg: p.accentSoft,
        rowSelectedHoverBg: p.accentSoft,
      },
      Button: { primaryShadow: "none", defaultShadow: "none", dangerShadow: "none" },
      Form: { itemMarginBottom: 12, verticalLabelPadding: "0 0 2px", labelColor: p.textDim },
      Tabs: { horizontalMargin: "0 0 12px" },
      Modal: { titleFontSize: 16 },
      Segmented: { itemSelectedBg: p.surface, trackBg: p.neutralSoft },
    },
  };
}
