export type Words = Record<string, string>;
export type Locales = Record<string, Record<"zh-CN" | "en-US", Words>>;
export const LANGUAGES: readonly ["zh-CN", "en-US"];
export function readLocales(src: string): Locales;
export function compare(locales: Locales): string[];
export function usedKeys(path: string, text: string): { exact: string[]; prefixes: string[]; namespaces: string[] };
export function missingKeys(src: string, locales: Locales): string[];
