// The viewer's speed in Chromium, from a server of its own: images a second (load and decode, cold cache) of one series,
// first as it was sent, then from the HTJ2K siblings. Prints one JSON line a round and the medians.
//   bench/viewer FOLDER_OF_ONE_SERIES [ROUNDS]
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { client, person, startBrowser, startServer, tool, until } from "../e2e/lib.mjs";

const [folder, rounds = "5"] = process.argv.slice(2);
if (folder === undefined) throw new Error("which folder?");
const images = readdirSync(folder).filter((name) => name.endsWith(".dcm")).length;
const [study, series] = client("uids_of.py", [join(folder, readdirSync(folder).sort()[0])]).trim().split("\n");

const server = await startServer();
const browser = await startBrowser();
try {
  const waiting = async () => {
    const text = await (await fetch(`${server.base}/metrics`, { headers: { authorization: `Bearer ${server.token}` } })).text();
    const value = (name) => Number(new RegExp(`^${name} (\\d+)`, "m").exec(text)?.[1] ?? NaN);
    return { made: value("mingying_siblings"), waiting: value("mingying_siblings_waiting") };
  };
  const before = await waiting();
  const sent = tool("storescu", ["-aec", "MINGYING", "+sd", "127.0.0.1", server.dimse, folder]);
  if (sent.status !== 0) throw new Error(sent.out);
  const measure = async (label) => {
    const rates = [];
    for (let round = 0; round < Number(rounds); round += 1) {
      const { page, context } = await person(browser, server.base, "radiologist");
      await page.goto(`${server.base}/viewer/bench?study=${study}&series=${series}`);
      await page.waitForFunction(() => window.__mingyingBench !== undefined);
      const result = await page.evaluate(([a, b]) => window.__mingyingBench(a, b, "CT"), [study, series]);
      if (result.images !== images) throw new Error(`${result.images} images of ${images}`);
      console.log(JSON.stringify({ label, ...result }));
      rates.push(result);
      await context.close();
    }
    const median = (key) => rates.map((one) => one[key]).sort((a, b) => a - b)[Math.floor(rates.length / 2)];
    console.log(`${label}: ${median("imagesPerSecond").toFixed(0)} images/s, first image ${median("firstImageMs").toFixed(0)} ms, ${(median("bytes") / 1e6).toFixed(0)} MB, ${rates[0].transferSyntax}`);
  };
  await measure("as sent");
  const started = Date.now();
  await until("the siblings", async () => { const now = await waiting(); return now.waiting === 0 && now.made >= before.made + images; }, 600_000);
  console.log(`siblings ready ${((Date.now() - started) / 1000).toFixed(0)} s after the last round`);
  await measure("siblings");
} finally {
  await browser.close();
  await server.stop();
}
