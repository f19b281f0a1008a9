// @vitest-environment node
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compare, missingKeys, readLocales, usedKeys } from "../../scripts/i18n.mjs";

const src = fileURLToPath(new URL("..", import.meta.url));

describe("locale files", () => {
  const locales = readLocales(src);
  it("are complete in both languages, with the same variables", () => {
    expect(compare(locales)).toEqual([]);
  });
  it("hold every key that the sources use", () => {
    expect(missingKeys(src, locales)).toEqual([]);
  });
});

describe("the check itself", () => {
  const words = (zh: Record<string, string>, en: Record<string, string>) => ({ x: { "zh-CN": zh, "en-US": en } });
  it("finds missing keys, other variables, empty texts and missing plurals", () => {
    expect(compare(words({ a: "甲" }, {}))).toEqual(["x:a is missing in en-US"]);
    expect(compare(words({ a: "{{name}}" }, { a: "{{nmae}}" }))[0]).toContain("other variables");
    expect(compare(words({ a: " " }, { a: "b" }))[0]).toContain("is empty");
    expect(compare(words({ a_other: "{{count}}" }, { a_other: "{{count}}" }))).toEqual(["x:a_one is missing in en-US"]);
  });
  it("reads keys out of calls", () => {
    const used = usedKeys("a.tsx", 'const { t } = useTranslation("orders"); t("x"); t(ok ? "a" : "b"); i18n.t("ns:y"); t(`state.${s}`); not("z");');
    expect(used).toEqual({ exact: ["x", "a", "b", "ns:y"], prefixes: ["state."], namespaces: ["orders"] });
  });
});
