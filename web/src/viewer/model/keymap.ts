/**
 * Keys of the viewer. The default is the IHE Basic Image Review profile (BIR); number
 * keys are window presets. `Alt` combinations belong to the page around the viewer.
 */
export type Command =
  | "tool.scroll"
  | "tool.window"
  | "tool.zoom"
  | "tool.pan"
  | "tool.length"
  | "tool.angle"
  | "tool.ellipse"
  | "tool.rectangle"
  | "tool.freehand"
  | "tool.probe"
  | "image.invert"
  | "image.rotate"
  | "image.flip_horizontal"
  | "image.flip_vertical"
  | "image.next"
  | "image.previous"
  | "image.first"
  | "image.last"
  | "image.forward"
  | "image.back"
  | "series.next"
  | "series.previous"
  | "view.reset"
  | "view.overlay"
  | "view.cine"
  | "view.reference_lines"
  | "view.print"
  | "view.help"
  | "layout.1x1"
  | "layout.1x2"
  | "layout.2x2"
  | "measure.delete"
  | "preset.1"
  | "preset.2"
  | "preset.3"
  | "preset.4"
  | "preset.5"
  | "preset.6"
  | "preset.7"
  | "preset.8"
  | "preset.9";

export type Keymap = Readonly<Record<string, Command>>;

const PRESETS: Record<string, Command> = {
  "1": "preset.1",
  "2": "preset.2",
  "3": "preset.3",
  "4": "preset.4",
  "5": "preset.5",
  "6": "preset.6",
  "7": "preset.7",
  "8": "preset.8",
  "9": "preset.9",
};

export const BIR: Keymap = {
  ...PRESETS,
  s: "tool.scroll",
  w: "tool.window",
  z: "tool.zoom",
  t: "tool.pan",
  d: "tool.length",
  a: "tool.angle",
  e: "tool.ellipse",
  q: "tool.rectangle",
  f: "tool.freehand",
  v: "tool.probe",
  n: "image.invert",
  r: "image.rotate",
  m: "image.flip_horizontal",
  "shift+m": "image.flip_vertical",
  o: "view.reference_lines",
  i: "view.overlay",
  c: "view.cine",
  arrowdown: "image.next",
  arrowright: "image.next",
  arrowup: "image.previous",
  arrowleft: "image.previous",
  "ctrl+arrowdown": "image.forward",
  "ctrl+arrowup": "image.back",
  home: "image.first",
  end: "image.last",
  pagedown: "series.next",
  pageup: "series.previous",
  escape: "view.reset",
  p: "view.print",
  h: "view.help",
  f1: "view.help",
  "shift+1": "layout.1x1",
  "shift+2": "layout.1x2",
  "shift+4": "layout.2x2",
  delete: "measure.delete",
  backspace: "measure.delete",
};

/** Keys that mean something to a browser or an assistive tool, and are left alone. */
const RESERVED = new Set(["tab", "enter", "ctrl+k", "ctrl+c", "ctrl+v", "ctrl+p", "ctrl+r", "f5"]);

export interface KeymapConflict {
  readonly key: string;
  readonly reason: "reserved" | "unknown_form";
}

const FORM =
  /^(ctrl\+)?(shift\+)?([a-z0-9]|f[0-9]{1,2}|arrow(up|down|left|right)|home|end|page(up|down)|escape|delete|backspace|space|comma|period)$/;

export function keymapConflicts(keymap: Keymap): KeymapConflict[] {
  const conflicts: KeymapConflict[] = [];
  for (const key of Object.keys(keymap)) {
    if (RESERVED.has(key)) {
      conflicts.push({ key, reason: "reserved" });
    } else if (!FORM.test(key)) {
      conflicts.push({ key, reason: "unknown_form" });
    }
  }
  return conflicts;
}

/** Commands which no key reaches: a keymap without them would leave a function out. */
export function unreachable(keymap: Keymap, commands: readonly Command[]): Command[] {
  const bound = new Set(Object.values(keymap));
  return commands.filter((command) => !bound.has(command));
}

export interface KeyPress {
  readonly key: string;
  readonly code?: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
  readonly isComposing?: boolean;
}

/** The name of a key press in the keymap's form, or null for those that are not ours. */
export function keyName(press: KeyPress): string | null {
  if (press.altKey || press.isComposing === true || press.key === "Process") {
    return null;
  }
  // Shift changes the character of a digit key ("!" for 1): the physical key counts.
  const digit = /^Digit([0-9])$/.exec(press.code ?? "");
  let base = digit?.[1] ?? press.key.toLowerCase();
  if (base === " ") {
    base = "space";
  } else if (base === ",") {
    base = "comma";
  } else if (base === ".") {
    base = "period";
  }
  const ctrl = press.ctrlKey || press.metaKey ? "ctrl+" : "";
  const shift = press.shiftKey ? "shift+" : "";
  return `${ctrl}${shift}${base}`;
}

export function commandFor(keymap: Keymap, press: KeyPress): Command | null {
  const name = keyName(press);
  return name === null ? null : (keymap[name] ?? null);
}

/** The keys of a command, for tooltips and the help table. */
export function keysFor(keymap: Keymap, command: Command): string[] {
  return Object.keys(keymap).filter((key) => keymap[key] === command);
}
