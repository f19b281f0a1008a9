const NAMES: Record<string, string> = {
  arrowdown: "↓",
  arrowup: "↑",
  arrowleft: "←",
  arrowright: "→",
  pagedown: "PgDn",
  pageup: "PgUp",
  escape: "Esc",
  home: "Home",
  end: "End",
  delete: "Del",
  backspace: "⌫",
  space: "␣",
  comma: ",",
  period: ".",
};

/** `shift+m` as people write it: `Shift+M`. */
export function keyLabel(key: string): string {
  return key
    .split("+")
    .map(
      (part) => NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part.charAt(0).toUpperCase() + part.slice(1)),
    )
    .join("+");
}
