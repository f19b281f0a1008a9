// Text that people read belongs into the locale files: finds words in JSX and in attributes that are shown or read aloud.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));
const shown = new Set(["title", "placeholder", "label", "alt", "aria-label", "aria-description", "okText", "cancelText", "hint", "description", "extra", "message", "tooltip"]);
const words = /\p{L}{2,}|\p{Script=Han}/u;
// The names of keys are the same in every language.
const keyCap = /^(Esc|Enter|Tab|Space|Ctrl|Alt|Shift|F\d{1,2}|Home|End|PgUp|PgDn)$/;

function* sources(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (entry.name !== "test" && entry.name !== "locales") yield* sources(path);
    } else if (entry.name.endsWith(".tsx") && !entry.name.includes(".test.")) yield path;
  }
}

const found = [];
for (const path of sources(join(root, "src"))) {
  const file = ts.createSourceFile(path, readFileSync(path, "utf8"), ts.ScriptTarget.Latest, true, ts.ScriptKind.TSX);
  const report = (node, text) => {
    const { line } = file.getLineAndCharacterOfPosition(node.getStart());
    found.push(`${relative(root, path)}:${line + 1} ${JSON.stringify(text.trim().slice(0, 60))}`);
  };
  const visit = (node) => {
    if (ts.isJsxText(node) && words.test(node.text)) {
      const inKbd = node.parent && ts.isJsxElement(node.parent) && node.parent.openingElement.tagName.getText() === "kbd";
      if (!(inKbd && keyCap.test(node.text.trim()))) report(node, node.text);
    } else if (ts.isJsxAttribute(node) && shown.has(node.name.getText()) && node.initializer) {
      const value = ts.isStringLiteral(node.initializer) ? node.initializer : ts.isJsxExpression(node.initializer) && node.initializer.expression && ts.isStringLiteralLike(node.initializer.expression) ? node.initializer.expression : null;
      if (value && words.test(value.text)) report(node, value.text);
    } else if (ts.isJsxExpression(node) && node.expression && ts.isStringLiteralLike(node.expression) && !ts.isJsxAttribute(node.parent) && words.test(node.expression.text)) {
      report(node, node.expression.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
}
if (found.length > 0) {
  process.stderr.write(`Literal text in JSX, move it into the locale files:\n${found.join("\n")}\n`);
  process.exit(1);
}
