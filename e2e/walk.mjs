// Walks every page of a running demo server as its users would: a picture of each, and what is measurably wrong with it.
//
//   e2e/walk FOLDER [--only NAME] [--lang zh|en] [--size desk|phone] [--no-axe]
//                   [--base http://127.0.0.1:8080 --token TOKEN --hl7 PORT]
//
// Without --base a demo server of its own is started. Where a token for machines is known, the mishaps are made first
// that a demo hospital lacks (stops.mjs).
// FOLDER gets NAME.LANG.SIZE.png and findings.json; findings are printed too. Exit 1 when a page complains, a request
// fails, a text has no translation, the phone scrolls sideways, text is below 12 px, or axe-core finds a violation.
import { createHmac } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { here, startBrowser, startServer } from "./lib.mjs";
import { mishaps, stops } from "./stops.mjs";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { base: { type: "string" }, only: { type: "string" }, lang: { type: "string" }, size: { type: "string" }, "no-axe": { type: "boolean" }, token: { type: "string" }, hl7: { type: "string" } },
});
const [folder] = positionals;
if (!folder) throw new Error("usage: e2e/walk FOLDER");
mkdirSync(folder, { recursive: true });
const own = options.base ? null : await startServer();
const { base, token, hl7 } = own ?? options;

const axe = options["no-axe"] ? null : readFileSync(createRequire(join(here, "package.json")).resolve("axe-core/axe.min.js"), "utf8");
const languages = { zh: "zh-CN", en: "en-US" };
const sizes = {
  desk: { viewport: { width: 1440, height: 900 } },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

/** Runs in the page: what can be measured without judgement. */
function measure(language) {
  const found = [];
  const shown = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  if (document.documentElement.scrollWidth > window.innerWidth)
    found.push(`scrolls sideways: ${document.documentElement.scrollWidth} > ${window.innerWidth}`);
  const small = new Set();
  const keys = new Set();
  const foreign = new Set();
  const cut = new Set();
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = texts.nextNode(); node; node = texts.nextNode()) {
    const text = node.data.trim();
    const element = node.parentElement;
    if (text === "" || !element || element.closest("script, style, .visually-hidden, .cornerstone-canvas-wrapper") || !shown(element)) continue;
    const size = parseFloat(getComputedStyle(element).fontSize);
    if (size < 12) small.add(`${size}px "${text.slice(0, 30)}"`);
    if (/^[a-z_-]+([.:][a-z_]+)+$/.test(text) && !element.closest(".mono, code")) keys.add(text);
    if (language === "en-US" && /\p{Script=Han}/u.test(text)) foreign.add(text.slice(0, 24));
    const style = getComputedStyle(element);
    if (style.overflowX === "hidden" && element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 1) cut.add(text.slice(0, 40));
  }
  if (small.size) found.push(`below 12 px: ${[...small].join(" · ")}`);
  if (keys.size) found.push(`no translation: ${[...keys].join(" · ")}`);
  // Names of people and what staff typed are Chinese in either language: for a person to judge.
  if (foreign.size) found.push(`(look) Chinese: ${[...foreign].join(" · ")}`);
  if (cut.size) found.push(`(look) cut: ${[...cut].join(" · ")}`);
  return found;
}

const browser = await startBrowser();
const doors = new Map();

/** Signs in once for each person; later pages share the session. */
async function contextFor(role, language, size, theme) {
  const key = `${role ?? ""}/${language}/${size}/${theme}`;
  let context = doors.get(key);
  if (context) return context;
  context = await browser.newContext({ ...sizes[size], locale: languages[language], colorScheme: theme, baseURL: base });
  if (role) {
    const signedIn = await context.request.post("/api/v1/session", { data: { username: role, password: "mingying-demo" } });
    if (!signedIn.ok()) throw new Error(`${role}: ${signedIn.status()}`);
  }
  doors.set(key, context);
  return context;
}

/** RFC 6238 code of a base32 secret. */
function totp(secret) {
  const bits = [...secret.replace(/=+$/, "")].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const mac = createHmac("sha1", key).update(counter).digest();
  return String((mac.readUInt32BE(mac[19] & 15) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

/** Calls the REST interface as somebody; what a stop needs to know or to prepare. */
const caller = (role) => async (path, method = "GET", data = undefined) => {
  const context = await contextFor(role, "zh", "desk", "light");
  const headers = method === "GET" ? {} : { "x-csrf-token": (await (await context.request.get("/api/v1/session")).json()).csrf };
  const answer = await context.request.fetch(`/api/v1${path}`, { method, data, headers });
  if (!answer.ok()) throw new Error(`${role} ${method} ${path}: ${answer.status()} ${await answer.text()}`);
  return answer.status() === 204 ? null : answer.json();
};

/** Nothing loads any more: no skeleton, no busy part. The live stream never ends, so the network is not asked. */
async function settled(page) {
  await page.locator("#root > *").first().waitFor({ timeout: 10_000 });
  await page.waitForTimeout(250);
  await page.waitForFunction(() => !document.querySelector(".ant-skeleton, [aria-busy=true]"), null, { timeout: 6000 }).catch(() => undefined);
}

const findings = {};
let wrong = 0;
const memory = {};
if (token) await mishaps({ base, token, hl7: Number(hl7), as: caller });
for (const language of Object.keys(languages)) {
  if (options.lang && options.lang !== language) continue;
  for (const size of Object.keys(sizes)) {
    if (options.size && options.size !== size) continue;
    for (const stop of stops) {
      if (options.only && !stop.name.includes(options.only)) continue;
      if (stop.size && stop.size !== size) continue;
      const name = `${stop.name}.${language}.${size}`;
      const context = await contextFor(stop.role, language, size, stop.theme ?? "light");
      const page = await context.newPage();
      const said = [];
      page.on("pageerror", (error) => said.push(`error: ${error}`));
      page.on("console", (message) => {
        if (message.type() === "error" && !/status of (401|403|404)/.test(message.text())) said.push(`console: ${message.text().slice(0, 200)}`);
      });
      page.on("requestfailed", (request) => {
        const why = request.failure()?.errorText;
        if (why !== "net::ERR_ABORTED") said.push(`request: ${request.url()} ${why}`);
      });
      page.on("response", (answer) => {
        const status = answer.status();
        if (status >= 400 && !(stop.expects ?? []).includes(status)) said.push(`answer: ${status} ${new URL(answer.url()).pathname}`);
      });
      try {
        const tools = { page, language, size, base, as: caller, memory, totp, phone: size === "phone" };
        const path = typeof stop.path === "function" ? await stop.path(tools) : stop.path;
        await page.goto(path, { waitUntil: "domcontentloaded" });
        await settled(page);
        if (stop.act) await stop.act(tools);
        await page.waitForTimeout(stop.settle ?? 500);
        await page.screenshot({ path: join(folder, `${name}.png`) });
        said.push(...(await page.evaluate(measure, languages[language])));
        if (axe && !stop.file) {
          await page.evaluate(axe);
          const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
          for (const { id, nodes } of violations)
            said.push(`axe ${id}: ${nodes.slice(0, 4).map(({ target, any }) => `${target.join(" ")}${any[0]?.message ? ` (${any[0].message.slice(0, 110)})` : ""}`).join(" | ")}${nodes.length > 4 ? ` and ${nodes.length - 4} more` : ""}`);
        }
      } catch (error) {
        said.push(`error: ${error.message.split("\n").slice(0, 3).join(" ")}`);
        await page.screenshot({ path: join(folder, `${name}.png`) }).catch(() => undefined);
      }
      await page.close();
      findings[name] = said;
      wrong += said.filter((one) => !one.startsWith("(look)")).length;
      process.stdout.write(`${name}${said.map((one) => `\n    ${one}`).join("")}\n`);
    }
  }
}
await memory.cleanup?.();
writeFileSync(join(folder, "findings.json"), JSON.stringify(findings, null, 1));
await browser.close();
await own?.stop();
process.stdout.write(`${Object.keys(findings).length} pages, ${wrong} findings\n`);
process.exitCode = wrong > 0 ? 1 : 0;
