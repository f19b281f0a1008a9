import { Enums, RenderingEngine, utilities, type StackViewport, type Types } from "@cornerstonejs/core";
import { mayBeLossy } from "../fastlane/manifest";
import type { SeriesProgress } from "../fastlane/seriesFrames";
import { headerWindow } from "../cornerstone/image";
import { removeSelected } from "../cornerstone/measurements";
import type { OpenSeries } from "../cornerstone/registry";
import { holdSeries, releaseSeries } from "../cornerstone/series";
import { drawsOnCpu, setUpCornerstone } from "../cornerstone/setup";
import {
  bindTools,
  dropToolGroup,
  makeToolGroup,
  setReferenceLines,
  type Group,
  type ToolName,
} from "../cornerstone/tools";
import { isMirrored, sideLetters, type Cosines, type SideLetters, type Vector } from "../model/orientation";
import { presetByKey, windowOf, windowRange, type HeaderWindow } from "../model/presets";
import { mayMirror } from "../model/safety";
import { Cine } from "./cine";
import { Store } from "./store";

export interface SeriesRef {
  readonly studyUid: string;
  readonly seriesUid: string;
  readonly modality: string;
  readonly number: number | null;
  readonly description: string;
  readonly images: number;
}

export type Layout = "1x1" | "1x2" | "2x2";
export const PANES: Record<Layout, number> = { "1x1": 1, "1x2": 2, "2x2": 4 };
export type OverlayMode = "full" | "minimal" | "off";

/** What one viewport shows, for the overlay and the bars around it. */
export interface PaneState {
  /** With as many images as are shown: the series may have grown since. */
  readonly ref: SeriesRef | null;
  readonly phase: "empty" | "opening" | "shown" | "failed";
  readonly code: string | null;
  readonly slice: number;
  readonly total: number;
  readonly frame: number;
  readonly frames: number;
  readonly instanceNumber: number | null;
  readonly location: number | null;
  readonly thickness: number | null;
  readonly window: HeaderWindow | null;
  readonly zoom: number;
  readonly rotation: number;
  readonly mirrored: boolean;
  readonly invert: boolean;
  readonly colour: boolean;
  readonly lossy: boolean;
  readonly calibrated: boolean;
  readonly letters: SideLetters | null;
  readonly progress: SeriesProgress | null;
  readonly playing: boolean;
  readonly rate: number;
}

export interface ViewState {
  readonly layout: Layout;
  readonly active: number;
  readonly tool: ToolName;
  readonly overlay: OverlayMode;
  readonly referenceLines: boolean;
  readonly panes: readonly PaneState[];
}

const EMPTY: PaneState = {
  ref: null,
  phase: "empty",
  code: null,
  slice: 0,
  total: 0,
  frame: 0,
  frames: 1,
  instanceNumber: null,
  location: null,
  thickness: null,
  window: null,
  zoom: 1,
  rotation: 0,
  mirrored: false,
  invert: false,
  colour: false,
  lossy: false,
  calibrated: false,
  letters: null,
  progress: null,
  playing: false,
  rate: 0,
};

interface Pane {
  element: HTMLDivElement | null;
  series: OpenSeries | null;
  /** Ends listening to the element. */
  stop: (() => void) | null;
  /** Ends listening to the progress of `series`. */
  unfollow: (() => void) | null;
  cine: Cine | null;
  /** Grows with each series that was asked for, so that a late answer is dropped. */
  turn: number;
  wanted: { ref: SeriesRef; index: number } | null;
  /** The window that is drawn; see `keepWindow`. */
  voi: { lower: number; upper: number } | null;
}

const MAX_PANES = 4;
const { Events, ViewportType } = Enums;

/**
 * The viewer without its looks: viewports, what they show, and every command on them.
 * React draws from `state` and calls the commands.
 */
export class ViewerSession extends Store<ViewState> {
  private readonly engine: RenderingEngine;
  private readonly group: Group;
  private readonly groupId: string;
  private readonly panes: Pane[];
  private readonly observer: ResizeObserver;
  private readonly touch = matchMedia("(pointer: coarse)").matches;

  constructor(id: string) {
    super({
      layout: "1x1",
      active: 0,
      tool: matchMedia("(pointer: coarse)").matches ? "scroll" : "window",
      overlay: "full",
      referenceLines: false,
      panes: Array.from({ length: MAX_PANES }, () => EMPTY),
    });
    setUpCornerstone();
    this.engine = new RenderingEngine(id);
    this.groupId = `${id}-tools`;
    this.group = makeToolGroup(this.groupId);
    this.panes = Array.from({ length: MAX_PANES }, () => ({
      element: null,
      series: null,
      stop: null,
      unfollow: null,
      cine: null,
      turn: 0,
      wanted: null,
      voi: null,
    }));
    bindTools(this.group, this.state.tool, this.touch);
    this.observer = new ResizeObserver(() => this.resize());
  }

  dispose(): void {
    this.observer.disconnect();
    this.panes.forEach((_, at) => this.detach(at));
    dropToolGroup(this.groupId);
    this.engine.destroy();
    this.clear();
  }

  attach(at: number, element: HTMLDivElement): void {
    const pane = this.pane(at);
    if (pane.element === element) return;
    this.detach(at);
    pane.element = element;
    this.engine.enableElement({
      viewportId: viewportId(at),
      type: ViewportType.STACK,
      element,
      defaultOptions: { background: [0, 0, 0] },
    });
    // With a tab index Cornerstone swallows every key while the picture has the focus, Tab included.
    element.removeAttribute("tabindex");
    this.group.addViewport(viewportId(at), this.engine.id);
    const refresh = (): void => {
      this.keepWindow(at);
      this.readPane(at);
    };
    const windowed = (event: Event): void => {
      pane.voi = (event as Types.EventTypes.VoiModifiedEvent).detail.range;
      this.readPane(at);
    };
    const activate = (): void => {
      // Keys belong to the pictures again, not to the text that was written before.
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
      this.activate(at);
    };
    const newImage = (): void => {
      const index = this.viewport(at)?.getTargetImageIdIndex();
      if (index !== undefined) pane.series?.frames.aim(index);
      refresh();
    };
    element.addEventListener(Events.IMAGE_RENDERED, refresh);
    element.addEventListener(Events.VOI_MODIFIED, windowed);
    element.addEventListener(Events.CAMERA_MODIFIED, refresh);
    element.addEventListener(Events.STACK_NEW_IMAGE, newImage);
    element.addEventListener(Events.PRE_STACK_NEW_IMAGE, refresh);
    element.addEventListener("pointerdown", activate, { capture: true });
    this.observer.observe(element);
    pane.stop = () => {
      element.removeEventListener(Events.IMAGE_RENDERED, refresh);
      element.removeEventListener(Events.VOI_MODIFIED, windowed);
      element.removeEventListener(Events.CAMERA_MODIFIED, refresh);
      element.removeEventListener(Events.STACK_NEW_IMAGE, newImage);
      element.removeEventListener(Events.PRE_STACK_NEW_IMAGE, refresh);
      element.removeEventListener("pointerdown", activate, { capture: true });
      this.observer.unobserve(element);
    };
    if (pane.wanted !== null) {
      void this.show(at, pane.wanted.ref, pane.wanted.index);
    }
  }

  detach(at: number): void {
    const pane = this.pane(at);
    if (pane.element === null) return;
    pane.stop?.();
    pane.stop = null;
    pane.cine?.stop();
    pane.cine = null;
    const index = this.viewport(at)?.getCurrentImageIdIndex() ?? 0;
    if (pane.wanted !== null) pane.wanted = { ref: pane.wanted.ref, index };
    this.engine.disableElement(viewportId(at));
    pane.element = null;
    pane.turn += 1;
    this.letGo(pane);
    this.patch(at, { ...EMPTY, ref: pane.wanted?.ref ?? null });
  }

  private letGo(pane: Pane): void {
    pane.unfollow?.();
    pane.unfollow = null;
    if (pane.series !== null) releaseSeries(pane.series);
    pane.series = null;
  }

  /**
   * Opens a series that has grown anew, in every viewport that shows it. Each keeps its picture, whose place may be
   * another one now.
   */
  async grow(ref: SeriesRef): Promise<void> {
    const showing = this.panes.flatMap((pane, at) => {
      if (pane.series?.studyUid !== ref.studyUid || pane.series.seriesUid !== ref.seriesUid) return [];
      const picture = pane.series.refs[this.state.panes[at]?.slice ?? 0];
      return [{ at, pane, picture: { sopUid: picture?.instance.sop_uid ?? "", frame: picture?.frame ?? 0 } }];
    });
    for (const { pane } of showing) this.letGo(pane);
    await Promise.all(showing.map(({ at, picture }) => this.show(at, ref, picture)));
  }

  /** Puts a series into a viewport; the first picture appears as soon as it is there. */
  async show(at: number, ref: SeriesRef, place: number | { sopUid: string; frame: number } = 0): Promise<void> {
    const pane = this.pane(at);
    pane.wanted = { ref, index: typeof place === "number" ? place : 0 };
    if (pane.element === null) {
      this.patch(at, { ref });
      return;
    }
    pane.turn += 1;
    const turn = pane.turn;
    pane.cine?.stop();
    pane.cine = null;
    this.patch(at, { ...EMPTY, ref, phase: "opening" });
    let series: OpenSeries;
    try {
      series = await holdSeries(ref);
    } catch (error) {
      if (pane.turn === turn) this.patch(at, { phase: "failed", code: codeOf(error) });
      return;
    }
    if (pane.turn !== turn) {
      releaseSeries(series);
      return;
    }
    const previous = pane.series;
    if (previous === null) this.resize();
    this.letGo(pane);
    pane.series = series;
    pane.unfollow = series.frames.subscribe(() => this.progressed(at, series));
    pane.voi = null;
    const index = typeof place === "number" ? place : (series.indexOf(place.sopUid, place.frame) ?? 0);
    const first = Math.min(Math.max(0, index), series.refs.length - 1);
    pane.wanted = { ref, index: first };
    this.patch(at, {
      ref: { ...ref, images: series.images },
      total: series.refs.length,
      slice: first,
      progress: series.frames.progress(),
    });
    try {
      await this.viewport(at)?.setStack([...series.imageIds], first);
      if (pane.turn !== turn) return;
      if (!series.frames.has(first)) throw new Error(series.frames.progress().code ?? "viewer.load_failed");
      this.patch(at, { phase: "shown" });
      this.viewport(at)?.render();
      this.readPane(at);
      this.drawReferenceLines();
    } catch (error) {
      if (pane.turn === turn) this.patch(at, { phase: "failed", code: series.frames.progress().code ?? codeOf(error) });
    }
  }

  retry(at: number): void {
    const pane = this.pane(at);
    pane.series?.frames.forgive();
    if (pane.wanted !== null) void this.show(at, pane.wanted.ref, this.state.panes[at]?.slice ?? 0);
  }

  setLayout(layout: Layout): void {
    const active = Math.min(this.state.active, PANES[layout] - 1);
    this.set({ ...this.state, layout, active });
    this.drawReferenceLines();
  }

  activate(at: number): void {
    if (this.state.active === at) return;
    this.set({ ...this.state, active: at });
    this.drawReferenceLines();
  }

  setTool(tool: ToolName): void {
    bindTools(this.group, tool, this.touch);
    this.set({ ...this.state, tool });
  }

  cycleOverlay(): void {
    const next: Record<OverlayMode, OverlayMode> = { full: "minimal", minimal: "off", off: "full" };
    this.set({ ...this.state, overlay: next[this.state.overlay] });
  }

  toggleReferenceLines(): void {
    this.set({ ...this.state, referenceLines: !this.state.referenceLines });
    this.drawReferenceLines();
  }

  preset(key: number, at = this.state.active): void {
    const pane = this.state.panes[at];
    const found = presetByKey(pane?.ref?.modality ?? "", key, this.headerWindow(at));
    if (found !== null) this.setWindow(found, at);
  }

  setWindow(window: HeaderWindow, at = this.state.active): void {
    const viewport = this.viewport(at);
    if (viewport === null || this.state.panes[at]?.colour === true) return;
    viewport.setProperties({ voiRange: windowRange(window.center, window.width) });
    viewport.render();
    this.readPane(at);
  }

  headerWindow(at = this.state.active): HeaderWindow | null {
    const pane = this.panes[at];
    const ref = pane?.series?.refs[this.state.panes[at]?.slice ?? 0];
    return ref === undefined ? null : headerWindow(ref.instance);
  }

  invert(at = this.state.active): void {
    const viewport = this.viewport(at);
    if (viewport === null) return;
    viewport.setProperties({ invert: viewport.getProperties().invert !== true });
    viewport.render();
    this.readPane(at);
  }

  rotate(at = this.state.active): void {
    const viewport = this.viewport(at);
    if (viewport === null) return;
    const { rotation = 0 } = viewport.getViewPresentation();
    viewport.setViewPresentation({ rotation: (Math.round(rotation / 90) * 90 + 90) % 360 });
    viewport.render();
    this.readPane(at);
  }

  /** Mirrors projection images only: a mirrored CT or MR is a wrong-side error in waiting. */
  flip(axis: "horizontal" | "vertical", at = this.state.active): boolean {
    const viewport = this.viewport(at);
    if (viewport === null || !mayMirror(this.state.panes[at]?.ref?.modality ?? "")) return false;
    const { flipHorizontal = false, flipVertical = false } = viewport.getCamera();
    viewport.setCamera(axis === "horizontal" ? { flipHorizontal: !flipHorizontal } : { flipVertical: !flipVertical });
    viewport.render();
    this.readPane(at);
    return true;
  }

  /** Window, zoom, pan, rotation and mirror as at first; the slice stays (BIR). */
  reset(at = this.state.active): void {
    const viewport = this.viewport(at);
    if (viewport === null || this.pane(at).series === null) return;
    viewport.setViewPresentation({ rotation: 0, flipHorizontal: false, flipVertical: false });
    viewport.resetProperties();
    viewport.resetCamera();
    viewport.render();
    this.readPane(at);
  }

  scroll(delta: number, at = this.state.active): void {
    const viewport = this.viewport(at);
    if (viewport === null || this.pane(at).series === null) return;
    utilities.scroll(viewport as Types.IStackViewport, { delta, debounceLoading: false });
  }

  jump(index: number, at = this.state.active): void {
    const pane = this.pane(at);
    const viewport = this.viewport(at);
    if (viewport === null || pane.series === null) return;
    const bounded = Math.min(Math.max(0, index), pane.series.refs.length - 1);
    void viewport.setImageIdIndex(bounded).catch(() => undefined);
  }

  toggleCine(at = this.state.active): void {
    const pane = this.pane(at);
    const { series } = pane;
    if (series === null) return;
    if (pane.cine !== null) {
      pane.cine.stop();
      pane.cine = null;
      this.patch(at, { playing: false });
      return;
    }
    const time = series.refs[0]?.instance.frame_time ?? null;
    const rate = time !== null && time > 0 ? Math.min(60, 1000 / time) : 15;
    pane.cine = new Cine(rate, () => {
      const viewport = this.viewport(at);
      if (viewport === null) return;
      const next = (viewport.getCurrentImageIdIndex() + 1) % series.refs.length;
      // A frame that is still on its way is waited for instead of skipped: no gaps in a loop.
      if (series.frames.has(next)) void viewport.setImageIdIndex(next).catch(() => undefined);
      else series.frames.aim(next);
    });
    pane.cine.start();
    this.patch(at, { playing: true, rate });
  }

  deleteSelected(): void {
    if (removeSelected()) this.engine.render();
  }

  /** The picture as it is drawn, for printing or a key image. */
  snapshot(at = this.state.active): HTMLCanvasElement | null {
    return this.viewport(at)?.getCanvas() ?? null;
  }

  private pane(at: number): Pane {
    const pane = this.panes[at];
    if (pane === undefined) throw new RangeError("viewer.pane");
    return pane;
  }

  private viewport(at: number): Types.IStackViewport | null {
    if (this.panes[at]?.element == null) return null;
    return (this.engine.getViewport(viewportId(at)) as Types.IStackViewport | undefined) ?? null;
  }

  private resize(): void {
    this.panes.forEach((pane, at) => {
      // Before its first picture the CPU renderer ignores a resize and would stretch it later.
      const canvas = pane.series === null && drawsOnCpu() ? this.viewport(at)?.getCanvas() : undefined;
      if (canvas !== undefined && pane.element !== null) {
        canvas.width = pane.element.clientWidth;
        canvas.height = pane.element.clientHeight;
      }
    });
    if (!this.panes.some((pane) => pane.series !== null && pane.element !== null)) return;
    // Whole pictures stay whole in a smaller or larger viewport; a zoomed one keeps its place.
    const fitted = this.panes.map((_, at) => !drawsOnCpu() && isFitted(this.viewport(at)));
    this.engine.resize(true, true);
    this.panes.forEach((pane, at) => {
      if (pane.series === null) return;
      if (fitted[at] === true) this.fit(at);
      this.readPane(at);
    });
  }

  private fit(at: number): void {
    const viewport = this.viewport(at);
    if (viewport === null) return;
    const { rotation = 0, flipHorizontal = false, flipVertical = false } = viewport.getViewPresentation();
    viewport.resetCamera();
    viewport.setViewPresentation({ rotation, flipHorizontal, flipVertical });
    viewport.render();
  }

  private progressed(at: number, series: OpenSeries): void {
    if (this.pane(at).series !== series) return;
    this.patch(at, { progress: series.frames.progress() });
  }

  /**
   * After each new picture the CPU renderer reports the header's window although it draws
   * the reader's; the window tool would start from the wrong one. What is drawn is set anew.
   */
  private keepWindow(at: number): void {
    const { voi } = this.pane(at);
    const viewport = this.viewport(at);
    if (voi === null || viewport === null || !drawsOnCpu()) return;
    const reported = viewport.getProperties().voiRange;
    if (reported == null || (reported.lower === voi.lower && reported.upper === voi.upper)) return;
    (viewport as StackViewport).setProperties({ voiRange: voi }, true);
  }

  private readPane(at: number): void {
    const pane = this.panes[at];
    const viewport = this.viewport(at);
    if (pane?.series == null || viewport === null) return;
    const slice = viewport.getCurrentImageIdIndex();
    const ref = pane.series.refs[slice];
    if (ref === undefined) return;
    const { instance } = ref;
    const image = pane.series.frames.peek(slice);
    if (image === undefined) {
      this.patch(at, { slice });
      return;
    }
    const { voiRange, invert } = viewport.getProperties();
    const { rotation = 0 } = viewport.getViewPresentation();
    const axes = screenAxes(viewport);
    const orientation = instance.orientation;
    this.patch(at, {
      slice,
      frame: ref.frame,
      lossy: mayBeLossy(ref.transferSyntax),
      frames: Math.max(1, instance.frames),
      instanceNumber: instance.number,
      location: ref.position === null || orientation === null ? null : along(orientation, ref.position),
      thickness: instance.thickness,
      window: voiRange == null || image.color ? null : windowOf(voiRange.lower, voiRange.upper),
      zoom: zoomOf(viewport, image),
      rotation: Math.round(rotation) % 360,
      invert: invert === true,
      colour: image.color,
      calibrated: instance.pixel_spacing !== null,
      letters: axes === null || orientation === null ? null : sideLetters(axes.right, axes.down),
      mirrored: axes === null ? false : isMirrored(orientation ?? [1, 0, 0, 0, 1, 0], axes.right, axes.down),
    });
  }

  private drawReferenceLines(): void {
    const { referenceLines, layout, active } = this.state;
    const on = referenceLines && layout !== "1x1" && this.panes[active]?.series != null;
    setReferenceLines(this.group, on ? viewportId(active) : null);
    this.engine.render();
  }

  private patch(at: number, change: Partial<PaneState>): void {
    const before = this.state.panes[at] ?? EMPTY;
    const keys = Object.keys(change) as (keyof PaneState)[];
    if (keys.every((key) => Object.is(before[key], change[key]))) return;
    const panes = [...this.state.panes];
    panes[at] = { ...before, ...change };
    this.set({ ...this.state, panes });
  }
}

function viewportId(at: number): string {
  return `mingying-pane-${at}`;
}

function codeOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "code" in error && typeof error.code === "string")
    return error.code;
  return "viewer.load_failed";
}

function isFitted(viewport: Types.IStackViewport | null): boolean {
  if (viewport?.getImageData() == null) return false;
  const [x, y] = viewport.getPan();
  return Math.abs(viewport.getZoom() - 1) < 0.01 && Math.hypot(x, y) < 1;
}

/** What screen-right and screen-down are in the patient. */
function screenAxes(viewport: Types.IStackViewport): { right: Vector; down: Vector } | null {
  const { clientWidth, clientHeight } = viewport.element;
  if (clientWidth < 4 || clientHeight < 4) return null;
  const from = viewport.canvasToWorld([1, 1]) as Types.Point3 | undefined;
  const right = viewport.canvasToWorld([clientWidth - 1, 1]) as Types.Point3 | undefined;
  const down = viewport.canvasToWorld([1, clientHeight - 1]) as Types.Point3 | undefined;
  if (from === undefined || right === undefined || down === undefined) return null;
  return { right: minus(right, from), down: minus(down, from) };
}

function minus(a: Types.Point3, b: Types.Point3): Vector {
  return [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
}

/** Slice location: the position along the normal of the plane. */
function along(orientation: Cosines, position: Vector): number {
  const [a, b, c, d, e, f] = orientation;
  return (b * f - c * e) * position[0] + (c * d - a * f) * position[1] + (a * e - b * d) * position[2];
}

/** Screen pixels for one image pixel: 1 is the image's own resolution. */
function zoomOf(viewport: Types.IStackViewport, image: Types.IImage): number {
  const origin = viewport.canvasToWorld([0, 0]) as Types.Point3 | undefined;
  const step = viewport.canvasToWorld([100, 0]) as Types.Point3 | undefined;
  if (origin === undefined || step === undefined) return 1;
  const millimetres = Math.hypot(...minus(step, origin));
  const pixels = millimetres / (image.columnPixelSpacing || 1);
  return pixels === 0 ? 1 : (100 * window.devicePixelRatio) / pixels;
}
