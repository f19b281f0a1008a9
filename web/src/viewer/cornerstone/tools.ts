import {
  addTool,
  AngleTool,
  annotation,
  EllipticalROITool,
  Enums,
  LengthTool,
  PanTool,
  PlanarFreehandROITool,
  ProbeTool,
  RectangleROITool,
  ReferenceLinesTool,
  StackScrollTool,
  ToolGroupManager,
  WindowLevelTool,
  ZoomTool,
  type Types,
} from "@cornerstonejs/tools";

export type ToolName =
  "scroll" | "window" | "zoom" | "pan" | "length" | "angle" | "ellipse" | "rectangle" | "freehand" | "probe";

const CORNERSTONE_NAME: Record<ToolName, string> = {
  scroll: StackScrollTool.toolName,
  window: WindowLevelTool.toolName,
  zoom: ZoomTool.toolName,
  pan: PanTool.toolName,
  length: LengthTool.toolName,
  angle: AngleTool.toolName,
  ellipse: EllipticalROITool.toolName,
  rectangle: RectangleROITool.toolName,
  freehand: PlanarFreehandROITool.toolName,
  probe: ProbeTool.toolName,
};

export const MEASURING: readonly ToolName[] = ["length", "angle", "ellipse", "rectangle", "freehand", "probe"];
const MOVING: readonly ToolName[] = ["scroll", "window", "zoom", "pan"];

export function toolOf(cornerstoneName: string): ToolName | null {
  const found = Object.entries(CORNERSTONE_NAME).find(([, name]) => name === cornerstoneName);
  return found === undefined ? null : (found[0] as ToolName);
}

export function registerTools(): void {
  for (const tool of [
    StackScrollTool,
    WindowLevelTool,
    ZoomTool,
    PanTool,
    LengthTool,
    AngleTool,
    EllipticalROITool,
    RectangleROITool,
    PlanarFreehandROITool,
    ProbeTool,
    ReferenceLinesTool,
  ]) {
    addTool(tool);
  }
  // Yellow on black is read at 13:1, and dashed links stay apart from anatomy.
  const { style } = annotation.config;
  const defaults = style.getDefaultToolStyles();
  style.setDefaultToolStyles({
    ...defaults,
    global: {
      ...defaults.global,
      color: "rgb(255, 222, 89)",
      colorHighlighted: "rgb(92, 230, 160)",
      colorSelected: "rgb(92, 230, 160)",
      lineWidth: "1.5",
      textBoxFontSize: "13px",
      textBoxFontFamily: "inherit",
      textBoxColor: "rgb(255, 222, 89)",
      textBoxColorHighlighted: "rgb(92, 230, 160)",
      textBoxColorSelected: "rgb(92, 230, 160)",
      textBoxLinkLineWidth: "1",
      textBoxBackground: "rgba(0, 0, 0, 0.55)",
    },
  } as Parameters<typeof style.setDefaultToolStyles>[0]);
}

/** Words in the text boxes of measurements; they follow the language of the page. */
export interface MeasurementWords {
  area: string;
  mean: string;
  min: string;
  max: string;
  deviation: string;
}

let words: MeasurementWords = { area: "A", mean: "μ", min: "min", max: "max", deviation: "σ" };

export function setMeasurementWords(next: MeasurementWords): void {
  words = next;
}

export interface RoiStats {
  area?: number;
  areaUnit?: string;
  mean?: number;
  min?: number;
  max?: number;
  stdDev?: number;
  modalityUnit?: string;
}

export function rounded(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

function shown(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function roiLines(data: { cachedStats?: Record<string, RoiStats> }, target: string): string[] | undefined {
  const stats = data.cachedStats?.[target];
  if (stats === undefined || !shown(stats.area)) return undefined;
  const unit = stats.modalityUnit === undefined || stats.modalityUnit === "raw" ? "" : ` ${stats.modalityUnit}`;
  const lines = [`${words.area} ${rounded(stats.area)} ${stats.areaUnit ?? ""}`];
  if (shown(stats.mean)) {
    const spread = shown(stats.stdDev) ? ` · ${words.deviation} ${rounded(stats.stdDev)}` : "";
    lines.push(`${words.mean} ${rounded(stats.mean)}${unit}${spread}`);
  }
  if (shown(stats.min) && shown(stats.max)) {
    lines.push(`${words.min} ${rounded(stats.min)} · ${words.max} ${rounded(stats.max)}${unit}`);
  }
  return lines;
}

const { MouseBindings } = Enums;

export type Group = Types.IToolGroup;

export function makeToolGroup(id: string): Group {
  const group = ToolGroupManager.createToolGroup(id) ?? ToolGroupManager.getToolGroup(id);
  if (group === undefined) throw new Error("viewer.tools_missing");
  for (const tool of MOVING) {
    // Cornerstone's own cache learns of a frame when it is first shown: to it all others look
    // unloaded, and it would leave slices out.
    group.addTool(CORNERSTONE_NAME[tool], tool === "scroll" ? { debounceIfNotLoaded: false } : {});
  }
  for (const tool of MEASURING) {
    const roi = tool === "ellipse" || tool === "rectangle" || tool === "freehand";
    group.addTool(CORNERSTONE_NAME[tool], {
      ...(roi ? { getTextLines: roiLines, calculateStats: true } : {}),
      shadow: true,
    } as Parameters<Group["addTool"]>[1]);
    group.setToolPassive(CORNERSTONE_NAME[tool]);
  }
  group.addTool(ReferenceLinesTool.toolName);
  return group;
}

/**
 * Mouse: left is the chosen tool, middle pans, right zooms, the wheel scrolls. Touch: one
 * finger is the chosen tool, two fingers pinch and move.
 */
export function bindTools(group: Group, primary: ToolName, touch: boolean): void {
  for (const tool of MEASURING) {
    if (tool !== primary) group.setToolPassive(CORNERSTONE_NAME[tool], { removeAllBindings: true });
  }
  for (const tool of MOVING) {
    const bindings: Types.IToolBinding[] = [];
    if (tool === primary) {
      bindings.push({ mouseButton: MouseBindings.Primary });
      if (touch) bindings.push({ numTouchPoints: 1 });
    }
    if (tool === "pan") bindings.push({ mouseButton: MouseBindings.Auxiliary });
    if (tool === "zoom") bindings.push({ mouseButton: MouseBindings.Secondary }, { numTouchPoints: 2 });
    if (tool === "scroll") bindings.push({ mouseButton: MouseBindings.Wheel });
    group.setToolPassive(CORNERSTONE_NAME[tool], { removeAllBindings: true });
    if (bindings.length > 0) group.setToolActive(CORNERSTONE_NAME[tool], { bindings });
  }
  if (MEASURING.includes(primary)) {
    group.setToolActive(CORNERSTONE_NAME[primary], {
      bindings: [{ mouseButton: MouseBindings.Primary }, ...(touch ? [{ numTouchPoints: 1 }] : [])],
    });
  }
}

/** Lines of the active picture's plane in the other viewports, or none. */
export function setReferenceLines(group: Group, sourceViewportId: string | null): void {
  if (sourceViewportId === null) {
    group.setToolDisabled(ReferenceLinesTool.toolName);
    return;
  }
  group.setToolConfiguration(ReferenceLinesTool.toolName, { sourceViewportId } as never);
  group.setToolEnabled(ReferenceLinesTool.toolName);
}

export function dropToolGroup(id: string): void {
  ToolGroupManager.destroyToolGroup(id);
}
