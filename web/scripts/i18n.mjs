// What `check-i18n` knows about locale files and the keys that the sources use.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";

export const LANGUAGES = ["zh-CN", "en-US"];
const PLURAL = /_(zero|one|two|few|many|other)$/;

/** `{ namespace: { language: { key: text } } }` of every `locales` folder. */
export function readLocales(src) {
  const locales = {};
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      const path = join(folder, entry.name);
      if (entry.name !== "locales") {
        walk(path);
        continue;
      }
      const name = folder.split(/[\\/]/).at(-1);
      const namespace = name === "ui" ? "common" : name === "api" ? "errors" : name;
      locales[namespace] = {};
      for (const language of LANGUAGES) {
        const file = join(path, `${language}.json`);
        locales[namespace][language] = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
      }
    }
  };
  walk(src);
  return locales;
}

const base = (key) => key.replace(PLURAL, "");
const variables = (text) => [...new Set([...text.matchAll(/\{\{\s*([\w.]+)[^}]*\}\}/g)].map(([, name]) => name))].sort().join(",");

/** Keys that one language lacks, other variables, missing plural forms, empty texts. */
export function compare(locales) {
  const problems = [];
  for (const [namespace, languages] of Object.entries(locales)) {
    const keys = Object.fromEntries(LANGUAGES.map((language) => [language, new Map()]));
    for (const language of LANGUAGES) {
      for (const [key, text] of Object.entries(languages[language])) {
        if (typeof text !== "string") problems.push(`${namespace}:${key} in ${language} is not a text; keys are flat`);
        else if (text.trim() === "") problems.push(`${namespace}:${key} in ${language} is empty`);
        else keys[language].set(base(key), [...(keys[language].get(base(key)) ?? []), [key, text]]);
      }
    }
    for (const key of new Set(LANGUAGES.flatMap((language) => [...keys[language].keys()]))) {
      const texts = LANGUAGES.map((language) => keys[language].get(key));
      texts.forEach((forms, index) => {
        if (!forms) problems.push(`${namespace}:${key} is missing in ${LANGUAGES[index]}`);
      });
      const plural = texts.some((forms) => forms?.some(([form]) => PLURAL.test(form)));
      if (plural) {
        const need = { "zh-CN": ["other"], "en-US": ["one", "other"] };
        LANGUAGES.forEach((language, index) => {
          for (const form of need[language]) {
            if (texts[index] && !texts[index].some(([name]) => name === `${key}_${form}`)) problems.push(`${namespace}:${key}_${form} is missing in ${language}`);
          }
        });
      }
      if (texts.every(Boolean) && !plural) {
        const [first, second] = texts.map((forms) => variables(forms[0][1]));
        if (first !== second) problems.push(`${namespace}:${key} uses other variables: {${first}} and {${second}}`);
      }
    }
  }
  return problems;
}

/** Keys in `t("...")` and prefixes in t(`...${x}`), with the namespace that `useTranslation` sets in the same file. */
export function usedKeys(path, text) {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, path.endsWith("x") ? ts.ScriptKind.TSX : ts.ScriptKind.TS);
  const exact = [];
  const prefixes = [];
  const namespaces = new Set();
  const visit = (node) => {
    if (ts.isCallExpression(node)) {
      const name = node.expression.getText(file);
      const first = node.arguments[0];
      if (name === "useTranslation" && first && ts.isStringLiteralLike(first)) namespaces.add(first.text);
      if (/(^|\.)t$/.test(name) && first) {
        const collect = (argument) => {
          if (ts.isStringLiteralLike(argument)) exact.push(argument.text);
          else if (ts.isTemplateExpression(argument)) prefixes.push(argument.head.text);
          else if (ts.isConditionalExpression(argument)) {
            collect(argument.whenTrue);
            collect(argument.whenFalse);
          }
        };
        collect(first);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return { exact, prefixes, namespaces: [...namespaces] };
}

/** Uses of keys that no locale has. */
export function missingKeys(src, locales) {
  const problems = [];
  const known = (namespace, key) => {
    const words = locales[namespace]?.["zh-CN"];
    return words !== undefined && (key in words || `${key}_other` in words);
  };
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (/\.tsx?$/.test(entry.name) && !entry.name.includes(".test.") && !path.includes("/test/")) {
        const { exact, prefixes, namespaces } = usedKeys(path, readFileSync(path, "utf8"));
        const inOf = namespaces.length > 0 ? namespaces : ["common"];
        for (const key of exact) {
          const at = key.indexOf(":");
          const ok = at > 0 ? known(key.slice(0, at), key.slice(at + 1)) : inOf.some((namespace) => known(namespace, key)) || (namespaces.length === 0 && Object.keys(locales).some((namespace) => known(namespace, key)));
          if (!ok) problems.push(`${relative(src, path)}: t("${key}") has no text`);
        }
        for (const prefix of prefixes) {
          if (prefix === "") continue;
          const at = prefix.indexOf(":");
          const spaces = at > 0 ? [prefix.slice(0, at)] : namespaces.length > 0 ? inOf : Object.keys(locales);
          const start = prefix.slice(at + 1);
          if (!spaces.some((namespace) => Object.keys(locales[namespace]?.["zh-CN"] ?? {}).some((key) => key.startsWith(start)))) {
            problems.push(`${relative(src, path)}: no text begins with "${prefix}"`);
          }
        }
      }
    }
  };
  walk(src);
  return problems;
}
