// What the browser must load before it can show each of the three bundles, in gzip bytes, against its limit.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const dist = fileURLToPath(new URL("../dist", import.meta.url));
const manifest = JSON.parse(readFileSync(join(dist, ".vite/manifest.json"), "utf8"));
const KB = 1000;
const bundles = [
  { name: "shell", entry: "src/app/shell-entry.tsx", limit: 400 * KB },
  { name: "patient page", entry: "src/app/standalone/patient.tsx", limit: 300 * KB },
  { name: "display", entry: "src/app/standalone/display.tsx", limit: 300 * KB },
];

function filesOf(key, seen = new Set()) {
  const chunk = manifest[key];
  if (!chunk || seen.has(key)) return seen;
  seen.add(key);
  for (const other of chunk.imports ?? []) filesOf(other, seen);
  return seen;
}

let failed = false;
for (const { name, entry, limit } of bundles) {
  if (!manifest[entry]) {
    process.stderr.write(`${name}: no ${entry} in the manifest\n`);
    failed = true;
    continue;
  }
  const keys = filesOf(entry, filesOf("index.html"));
  const files = new Set([...keys].flatMap((key) => [manifest[key].file, ...(manifest[key].css ?? [])]));
  const bytes = [...files].reduce((total, file) => total + gzipSync(readFileSync(join(dist, file)), { level: 9 }).length, 0);
  const ok = bytes <= limit;
  failed ||= !ok;
  process.stdout.write(`${ok ? "ok  " : "OVER"} ${name}: ${Math.round(bytes / KB)} of ${limit / KB} kB gzip in ${files.size} files\n`);
}
process.exit(failed ? 1 : 0);
