// Starts what the journey needs: a demo server on free ports, clients in Python, a browser.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(join(here, "../web/package.json"));
const { chromium } = require("playwright-core");
const python = process.env.MINGYING_TEST_PYTHON;

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export async function until(what, check, limit = 30_000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await check().catch(() => null);
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Runs a client of e2e/clients and returns what it printed; throws when it fails. */
export function client(name, args, input = "") {
  const run = spawnSync(python, [join(here, "clients", name), ...args.map(String)], { input, encoding: "utf8", timeout: 120_000 });
  if (run.status !== 0) throw new Error(`${name} ${args.join(" ")}\n${run.stdout}\n${run.stderr}`);
  return run.stdout;
}

export function tool(name, args) {
  const run = spawnSync(name, args.map(String), { encoding: "utf8", timeout: 60_000, env: { ...process.env, TCP_NODELAY: "1" } });
  return { status: run.status, out: `${run.stdout}${run.stderr}` };
}

export async function startServer() {
  const dir = mkdtempSync(join(tmpdir(), "mingying-journey-"));
  const data = join(dir, "data");
  const [http, dimse, hl7, results] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const log = join(dir, "server.log");
  const { openSync } = await import("node:fs");
  const out = openSync(log, "a");
  const server = spawn(
    process.env.MINGYING_BIN,
    ["serve", "--demo", "--data-dir", data, "--http", `127.0.0.1:${http}`, "--dimse", `127.0.0.1:${dimse}`, "--hl7", `127.0.0.1:${hl7}`],
    { stdio: ["ignore", out, out] },
  );
  const base = `http://127.0.0.1:${http}`;
  await until("the server", async () => (await fetch(`${base}/health/ready`)).ok, 120_000).catch((error) => {
    throw new Error(`${error.message}\n${readFileSync(log, "utf8").slice(-2000)}`);
  });
  const token = readFileSync(join(data, "demo-token"), "utf8").trim();
  const received = join(dir, "results");
  const receiver = spawn(python, [join(here, "clients/hl7_receiver.py"), String(results), received], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve) => receiver.stdout.once("data", resolve));
  return {
    base, dir, data, dimse, hl7, results, received, token,
    api: async (path, options = {}) => {
      const answer = await fetch(`${base}/api/v1${path}`, { ...options, headers: { authorization: `Bearer ${token}`, ...options.headers } });
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      return answer.status === 204 ? null : answer.json();
    },
    stop: async () => {
      receiver.kill();
      const ended = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGTERM");
      const code = await ended;
      rmSync(dir, { recursive: true, force: true });
      return code;
    },
  };
}

const flags = [
  "--no-sandbox", "--enable-unsafe-swiftshader", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

export async function startBrowser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });
}

const screens = join(here, "screens");
mkdirSync(screens, { recursive: true });

/** A page of its own, signed in as a demo user where one is named; collects what the browser complains about. */
export async function person(browser, base, username, { phone = false, locale = "zh-CN" } = {}) {
  const context = await browser.newContext({
    locale,
    viewport: phone ? { width: 390, height: 844 } : { width: 1440, height: 900 },
    ...(phone ? { isMobile: true, hasTouch: true } : {}),
  });
  const page = await context.newPage();
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  if (username) {
    await page.goto(`${base}/login`);
    await page.locator("input[autocomplete=username]").fill(username);
    await page.locator("input[autocomplete=current-password]").fill("mingying-demo");
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => !url.pathname.startsWith("/login"), { timeout: 20_000 });
  }
  return {
    page, context, complaints,
    shot: (name) => page.screenshot({ path: join(screens, `${name}.png`) }),
  };
}
