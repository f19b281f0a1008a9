import { useSyncExternalStore } from "react";

/** Choices that belong to this browser and are needed before anybody has signed in. */
export type Language = "zh-CN" | "en-US";
export type ThemeChoice = "system" | "light" | "dark";

export interface Preferences {
  language: Language;
  theme: ThemeChoice;
}

const KEY = "mingying.preferences";
export const languages: readonly Language[] = ["zh-CN", "en-US"];
const themes: readonly ThemeChoice[] = ["system", "light", "dark"];

/** Reads stored preferences and falls back to the browser's languages; Chinese comes first. */
export function parsePreferences(stored: string | null, browser: readonly string[]): Preferences {
  let raw: Partial<Record<keyof Preferences, unknown>> = {};
  try {
    const parsed: unknown = JSON.parse(stored ?? "{}");
    if (typeof parsed === "object" && parsed !== null) raw = parsed;
  } catch {
    raw = {};
  }
  const preferred = browser[0]?.toLowerCase().startsWith("en") ? "en-US" : "zh-CN";
  return {
    language: languages.find((language) => language === raw.language) ?? preferred,
    theme: themes.find((theme) => theme === raw.theme) ?? "system",
  };
}

function read(): Preferences {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(KEY);
  } catch {
    // Storage may be forbidden; the session then runs on the defaults.
  }
  return parsePreferences(stored, navigator.languages);
}

let current = read();
const listeners = new Set<() => void>();

export function preferences(): Preferences {
  return current;
}

export function setPreferences(change: Partial<Preferences>): void {
  current = { ...current, ...change };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // Kept for this page only.
  }
  for (const listener of listeners) listener();
}

export function onPreferences(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function usePreferences(): Preferences {
  return useSyncExternalStore(onPreferences, preferences);
}

const darkMedia = () => (typeof matchMedia === "function" ? matchMedia("(prefers-color-scheme: dark)") : null);

function subscribeMode(listener: () => void): () => void {
  const media = darkMedia();
  media?.addEventListener("change", listener);
  const stop = onPreferences(listener);
  return () => {
    media?.removeEventListener("change", listener);
    stop();
  };
}

let forced: "light" | "dark" | null = null;

/** A place with its own light, such as the dark reading room, overrides the choice while it is open. */
export function forceMode(mode: "light" | "dark" | null): void {
  if (forced === mode) return;
  forced = mode;
  for (const listener of listeners) listener();
}

export function resolvedMode(): "light" | "dark" {
  if (forced !== null) return forced;
  if (current.theme !== "system") return current.theme;
  return darkMedia()?.matches ? "dark" : "light";
}

export function useMode(): "light" | "dark" {
  return useSyncExternalStore(subscribeMode, resolvedMode);
}
