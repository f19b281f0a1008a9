// Both languages complete, and every key that the sources use has a text.
import { fileURLToPath } from "node:url";
import { compare, missingKeys, readLocales } from "./i18n.mjs";

const src = fileURLToPath(new URL("../src", import.meta.url));
const locales = readLocales(src);
const problems = [...compare(locales), ...missingKeys(src, locales)];
if (problems.length > 0) {
  process.stderr.write(`${problems.join("\n")}\n${problems.length} problem(s) in the locale files\n`);
  process.exit(1);
}
const count = Object.values(locales).reduce((total, languages) => total + Object.keys(languages["zh-CN"]).length, 0);
process.stdout.write(`${Object.keys(locales).length} namespaces, ${count} texts, both languages complete\n`);
