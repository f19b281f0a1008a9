import i18next, { type i18n, type Resource } from "i18next";
import { initReactI18next } from "react-i18next";
import { languages, onPreferences, preferences, type Language } from "./preferences";

/** Folders whose namespace has another name; `.` is the folder of the importing file, the shell. */
const NAMESPACES: Record<string, string> = { ui: "common", api: "errors", ".": "app" };

/**
 * Each folder with words has `locales/zh-CN.json` and `locales/en-US.json`; the folder's name is the
 * namespace (`ui` is `common`, `api` is `errors`). The argument is what `import.meta.glob` with
 * `eager` and `import: "default"` returns.
 */
export function resourcesFrom(modules: Record<string, unknown>): Resource {
  const resources: Record<string, Record<string, unknown>> = {};
  for (const [file, words] of Object.entries(modules)) {
    const match = /([^/]+)\/locales\/([A-Za-z-]+)\.json$/.exec(file);
    const folder = match?.[1];
    const language = match?.[2];
    if (folder === undefined || language === undefined) continue;
    const namespace = NAMESPACES[folder] ?? folder;
    (resources[language] ??= {})[namespace] = words;
  }
  return resources as Resource;
}

export function startI18n(resources: Resource): i18n {
  void i18next.use(initReactI18next).init({
    lng: preferences().language,
    fallbackLng: "zh-CN",
    supportedLngs: [...languages],
    resources,
    defaultNS: "common",
    // Flat keys: error codes such as `patient.identifier_taken` are keys as they are.
    keySeparator: false,
    nsSeparator: ":",
    initAsync: false,
    interpolation: { escapeValue: false },
    returnNull: false,
  });
  const follow = () => {
    const { language } = preferences();
    document.documentElement.lang = language;
    if (i18next.language !== language) void i18next.changeLanguage(language);
  };
  follow();
  onPreferences(follow);
  return i18next;
}

export function currentLanguage(): Language {
  return i18next.language === "en-US" ? "en-US" : "zh-CN";
}

/** Catalogue names come in both languages; the English one may be missing. */
export function named(thing: { name: string; name_en?: string | null }, language: string): string {
  return language === "en-US" && thing.name_en ? thing.name_en : thing.name;
}
export function itemNamed(thing: { item_name: string; item_name_en?: string | null }, language: string): string {
  return language === "en-US" && thing.item_name_en ? thing.item_name_en : thing.item_name;
}
