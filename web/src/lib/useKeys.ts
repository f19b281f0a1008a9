import { useEffect, useRef } from "react";
import { tinykeys } from "tinykeys";

export type KeyMap = Record<string, (event: KeyboardEvent) => void>;

/** True while somebody writes: single-letter keys must not act then. */
export function isTyping(event: KeyboardEvent): boolean {
  const target = event.target;
  if (event.isComposing) return true;
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["button", "checkbox", "radio", "submit", "reset"].includes(target.type);
}

/** Nothing that uses the arrows itself has the focus: no field, menu, tab or row. */
export function isIdle(target: EventTarget | null): boolean {
  return !(target instanceof Element) || target.closest("input, textarea, select, [role=tab], [role=menu], [role=listbox], [role=radiogroup], [role=grid], tr[tabindex]") === null;
}

const isPlain = (binding: string) => !/\$mod|Control|Alt|Meta|^F\d|Escape/.test(binding);

/** Binds keys on the window while the component is shown. Open dialogs keep their keys to themselves. */
export function useKeys(map: KeyMap, enabled = true): void {
  const current = useRef(map);
  useEffect(() => {
    current.current = map;
  });
  const bindings = Object.keys(map).join("\n");
  useEffect(() => {
    if (!enabled) return undefined;
    const bound: KeyMap = {};
    for (const binding of bindings.split("\n")) {
      if (binding === "") continue;
      bound[binding] = (event) => {
        if (binding !== "Escape" && document.querySelector('[aria-modal="true"]') !== null) return;
        if (isPlain(binding) && isTyping(event)) return;
        current.current[binding]?.(event);
      };
    }
    // Which keys act while somebody types is decided above: function keys and Ctrl+K do, letters do not.
    // A key that is held down acts once.
    return tinykeys(window, bound, { ignore: (event) => event.repeat || event.isComposing });
  }, [bindings, enabled]);
}
