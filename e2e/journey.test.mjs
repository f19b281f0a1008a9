// One patient, from the order to the phone: request, booking, check-in, queue, worklist, images, reading, report, link.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { client, person, startBrowser, startServer, tool, until } from "./lib.mjs";

let server;
let browser;
const people = [];
const say = { timeout: 20_000 };

const order = [
  "MSH|^~\\&|HIS|MAIN|MINGYING|RAD|20260302080000||ORM^O01^ORM_O01|E2E1|P|2.5.1||||||UNICODE UTF-8",
  "PID|1||E2E100^^^&1.2.156.1&ISO^MR||旅程甲^^^^^^^I~Lu^Chengjia^^^^^^A||19800512|F|||虚构路1号||13800001234",
  "PV1|1|O",
  "ORC|NW|PL-E2E-1^HIS||||||||||D1^李^医生|||||N1^神经内科",
  "OBR|1|PL-E2E-1||CT-HEAD^颅脑CT平扫|||||||||头痛3天||||||||||||||||||^排除出血",
  "DG1|1||R51^头痛",
].join("\n");

async function as(username, options) {
  const one = await person(browser, server.base, username, options);
  people.push(one);
  return one;
}

before(async () => {
  server = await startServer();
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  if (server) assert.equal(await server.stop(), 0, "the server ends with 0 on SIGTERM");
});

test("one patient, end to end", { timeout: 600_000 }, async (t) => {
  const state = {};
  const { base } = server;
  let broken = false;
  // Each step needs the ones before it: after the first failure the rest would only repeat it.
  const step = (name, run) =>
    t.test(name, { skip: broken }, async () => {
      try {
        await run();
      } catch (error) {
        broken = true;
        await Promise.all(people.map(({ shot }, n) => shot(`failed-${n}`).catch(() => undefined)));
        throw error;
      }
    });

  await step("a result receiver is registered", async () => {
    const admin = await as("admin");
    const session = await admin.page.evaluate(async () => (await fetch("/api/v1/session")).json());
    const answer = await admin.page.evaluate(
      async ({ csrf, port }) => {
        const body = { name: "HIS", host: "127.0.0.1", port, application: "HIS", facility: "MAIN", charset: "UNICODE UTF-8", tls: false, active: true };
        const sent = await fetch("/api/v1/receivers/HIS", { method: "PUT", headers: { "content-type": "application/json", "x-csrf-token": csrf }, body: JSON.stringify(body) });
        return sent.status;
      },
      { csrf: session.csrf, port: server.results },
    );
    assert.equal(answer, 200);
  });

  await step("the order arrives over HL7", async () => {
    assert.match(client("hl7_send.py", ["127.0.0.1", server.hl7], order), /MSA\|AA\|E2E1/);
    const found = await server.api("/orders?q=PL-E2E-1");
    assert.equal(found.items.length, 1);
    state.order = found.items[0];
    assert.equal(state.order.patient.name, "旅程甲");
    assert.equal(state.order.state, "accepted");
  });

  await step("the desk books and checks in", async () => {
    const desk = await as("registrar");
    const { page } = desk;
    await page.getByText(state.order.accession).first().waitFor(say);
    await desk.shot("01-desk");
    await page.goto(`${base}/orders/${state.order.id}`);
    await page.getByRole("button", { name: "预约", exact: true }).click();
    await page.getByRole("gridcell").first().waitFor(say);
    await desk.shot("02-booking");
    await page.getByRole("dialog").getByRole("button", { name: /预\s*约/ }).click();
    await until("the appointment", async () => (await server.api(`/orders/${state.order.id}`)).state === "scheduled");
    const booked = await server.api(`/orders/${state.order.id}`);
    state.aet = booked.appointment.device_name;
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "报到", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "报到取号" }).click();
    await until("the arrival", async () => (await server.api(`/orders/${state.order.id}`)).state === "arrived");
    const arrived = await server.api(`/orders/${state.order.id}`);
    assert.match(arrived.ticket, /^[A-Z]+\d{3}$/);
    state.ticket = arrived.ticket;
    await page.waitForTimeout(500);
    await desk.shot("03-ticket");
    state.booked = arrived;
  });

  await step("the worklist has exactly that item", async () => {
    const directory = await (await fetch(`${base}/api/v1/directory`, { headers: { cookie: await cookie(people[1]) } })).json();
    const device = directory.devices.find(({ id }) => id === state.booked.appointment.device_id);
    state.aet = device.ae_title;
    state.room = directory.rooms.find(({ id }) => id === device.room_id);
    const found = tool("findscu", ["-W", "-aet", state.aet, "-aec", "MINGYING", "127.0.0.1", server.dimse,
      "-k", `AccessionNumber=${state.order.accession}`, "-k", "PatientName", "-k", "PatientID", "-k", "StudyInstanceUID",
      "-k", `ScheduledProcedureStepSequence[0].ScheduledStationAETitle=${state.aet}`,
      "-k", "ScheduledProcedureStepSequence[0].Modality=CT"]);
    assert.equal(found.status, 0, found.out);
    assert.equal(found.out.match(/Find Response: \d+ \(Pending\)/g)?.length, 1, found.out);
    assert.ok(found.out.includes(state.order.accession));
    assert.ok(found.out.includes("E2E100"));
    const elsewhere = tool("findscu", ["-W", "-aet", "MR01", "-aec", "MINGYING", "127.0.0.1", server.dimse,
      "-k", `AccessionNumber=${state.order.accession}`, "-k", "ScheduledProcedureStepSequence[0].ScheduledStationAETitle=MR01"]);
    assert.ok(!elsewhere.out.includes("(Pending)"), "no other station sees it");
  });

  await step("the technologist calls, the display shows a masked name", async () => {
    const hall = await as("head");
    const displays = await hall.page.evaluate(async () => (await (await fetch("/api/v1/displays")).json()).items);
    const display = displays.find(({ room_ids: rooms }) => rooms.includes(state.room.id)) ?? displays[0];
    await hall.page.goto(`${base}/display/${display.id}`);
    await hall.page.waitForTimeout(1500);
    const tech = await as("tech");
    await tech.page.goto(`${base}/exam?room=${state.room.id}`);
    await tech.page.getByText(state.ticket).first().waitFor(say);
    await tech.shot("04-exam-room");
    // Others may wait in the demo's queue: this one is chosen and called.
    await tech.page.getByText(state.ticket).first().click();
    await tech.page.keyboard.press("r");
    await until("the call", async () => {
      const entries = await tech.page.evaluate(async (room) => (await (await fetch(`/api/v1/queue?room_id=${room}`)).json()).items, state.room.id);
      return entries.find(({ ticket }) => ticket === state.ticket)?.state === "called";
    });
    if (display.room_ids.includes(state.room.id)) {
      await hall.page.getByText("旅*甲").first().waitFor({ timeout: 10_000 });
      assert.ok(!(await hall.page.locator("body").innerText()).includes("旅程甲"), "the whole name never stands on a display");
    }
    await hall.shot("05-display");
    // A key acts on what the screen shows: the button tells that the call has come back.
    await tech.page.getByRole("button", { name: /^进入/ }).waitFor(say);
    await tech.page.keyboard.press("e");
    await until("the room", async () => {
      const entries = await tech.page.evaluate(async (room) => (await (await fetch(`/api/v1/queue?room_id=${room}`)).json()).items, state.room.id);
      return entries.find(({ ticket }) => ticket === state.ticket)?.state === "in_room";
    });
  });

  await step("images arrive and the study shows up live in the reading list", async () => {
    const reader = await as("trainee");
    state.reader = reader;
    await reader.page.goto(`${base}/reading`);
    await reader.page.getByText("A2").first().waitFor(say);
    assert.equal(await reader.page.getByText(state.order.accession).count(), 0);
    // A modality tells its times in whole seconds: the exam must not seem to begin before the patient entered.
    await reader.page.waitForTimeout(1200);
    const modality = JSON.parse(client("modality.py", ["127.0.0.1", server.dimse, state.aet, state.order.accession, join(server.dir, "ct"), "--slices", "24", "--size", "256"]));
    state.study = modality;
    assert.equal(modality.study_uid, state.order.study_uid);
    assert.ok(modality.patient_name.replaceAll("^", "").includes("旅程甲"), modality.patient_name);
    await reader.page.getByText(state.order.accession).first().waitFor(say);
    await reader.shot("06-reading-list");
    await until("the state", async () => (await server.api(`/orders/${state.order.id}`)).state === "imaged");
    const stored = await server.api(`/orders/${state.order.id}`);
    assert.equal(stored.images, 24);
  });

  await step("the technologist confirms the images", async () => {
    const tech = people.at(-2).page.url().includes("/exam") ? people.at(-2) : people.find(({ page }) => page.url().includes("/exam"));
    await tech.page.bringToFront();
    await tech.page.getByText(state.ticket).first().click();
    await tech.page.getByRole("button", { name: /确认完成/ }).click();
    await until("completion", async () => (await server.api(`/orders/${state.order.id}`)).state === "completed");
  });

  await step("viewer, measurement, trainee draft", async () => {
    const { page, shot } = state.reader;
    await page.getByText(state.order.accession).first().click();
    await page.keyboard.press("Enter");
    if (!page.url().includes(state.order.id)) await page.goto(`${base}/reading/${state.order.id}`);
    const canvas = page.locator("canvas").first();
    await canvas.waitFor(say);
    await page.getByText(/图像 1\/24/).first().waitFor(say);
    await page.keyboard.press("d");
    const box = await canvas.boundingBox();
    await page.mouse.move(box.x + box.width * 0.4, box.y + box.height * 0.5);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.5, { steps: 8 });
    await page.mouse.up();
    await page.getByText(/mm/).nth(1).waitFor(say);
    await page.getByRole("button", { name: "开始写报告" }).click();
    const findings = page.getByRole("textbox", { name: "影像所见" });
    await findings.fill("颅骨完整。脑实质密度未见异常，中线结构居中。");
    await page.getByRole("textbox", { name: "诊断意见" }).fill("颅脑CT平扫未见异常。");
    await page.getByText(/已保存/).first().waitFor(say);
    await shot("07-reading-room");
    await page.getByRole("button", { name: "提交报告" }).click();
    await until("the draft", async () => (await report(state.reader, state.order.id))?.stage === "trainee");
  });

  await step("initial report, audit, signature", async () => {
    const physician = await as("radiologist");
    await physician.page.goto(`${base}/reading/${state.order.id}`);
    const impression = physician.page.getByRole("textbox", { name: "诊断意见" });
    const start = physician.page.getByRole("button", { name: /开始写报告|继续/ });
    await impression.or(start).first().waitFor(say);
    if (await start.count()) await start.first().click();
    await impression.fill("颅脑CT平扫未见明确出血征象。");
    await physician.page.getByText(/已保存/).first().waitFor(say);
    await physician.page.getByRole("button", { name: "提交报告" }).click();
    await until("the initial report", async () => (await report(physician, state.order.id))?.stage === "initial");
    const senior = await as("senior");
    await senior.page.goto(`${base}/reading/${state.order.id}`);
    const versions = senior.page.getByRole("button", { name: "版本" });
    await versions.waitFor(say);
    await versions.click();
    await senior.page.waitForTimeout(800);
    await senior.shot("08-versions");
    await senior.page.keyboard.press("Escape");
    await senior.page.getByRole("button", { name: "审核并签名" }).first().click();
    await senior.page.locator(".ant-popover, .ant-popconfirm").getByRole("button", { name: "审核并签名" }).click();
    await until("the signature", async () => (await report(senior, state.order.id))?.stage === "final");
    await senior.page.waitForTimeout(800);
    await senior.shot("09-signed");
    state.senior = senior;
    const signed = await report(senior, state.order.id);
    assert.deepEqual(signed.versions.map(({ stage, signed: is }) => [stage, is]), [["trainee", false], ["initial", false], ["final", true]]);
  });

  await step("the result arrives at the receiver as ORU^R01", async () => {
    const file = await until("the result", async () => readdirSync(server.received).find((name) => name.endsWith(".hl7")));
    const text = readFileSync(join(server.received, file), "utf8");
    assert.match(text, /ORU\^R01/);
    assert.ok(text.includes("未见明确出血征象"), text);
    assert.ok(text.includes("PL-E2E-1"));
    assert.match(text, /OBR\|.*\|F\|/);
  });

  await step("the signed PDF stands in the study", async () => {
    const pdf = await until("the PDF", async () => {
      const answer = await fetch(`${base}/dicom-web/studies/${state.order.study_uid}/series`, { headers: { authorization: `Bearer ${server.token}`, accept: "application/dicom+json" } });
      const series = await answer.json();
      return series.length === 2 && series.find((one) => one["00080060"].Value[0] === "DOC");
    });
    assert.ok(pdf);
  });

  await step("the patient opens the link on a phone", async () => {
    const { page, shot } = state.senior;
    await page.getByRole("button", { name: "患者链接" }).click();
    await page.getByRole("button", { name: "生成链接" }).click();
    await page.getByText("请患者扫描二维码").waitFor(say);
    await shot("10-share");
    // The dialog shows a code for the camera; the address behind it comes from a link made the same way.
    const made = await page.evaluate(async (id) => {
      const { csrf } = await (await fetch("/api/v1/session")).json();
      const answer = await fetch(`/api/v1/orders/${id}/shares`, { method: "POST", headers: { "content-type": "application/json", "x-csrf-token": csrf }, body: JSON.stringify({ valid_days: 7, images: true }) });
      return answer.json();
    }, state.order.id);
    state.share = made;
    const phone = await as(null, { phone: true });
    await phone.page.goto(`${base}${new URL(made.url).pathname}`);
    await phone.page.getByLabel("年").fill("1980");
    await phone.page.getByLabel("月").fill("05");
    await phone.page.getByLabel("日").fill("12");
    await phone.page.getByLabel(/后四位/).fill("9999");
    await phone.page.getByRole("button", { name: "查看报告" }).click();
    await phone.page.getByText("不对").first().waitFor(say);
    await phone.page.getByLabel(/后四位/).fill("1234");
    await phone.shot("11-phone-unlock");
    await phone.page.getByRole("button", { name: "查看报告" }).click();
    await phone.page.getByText("未见明确出血征象").first().waitFor(say);
    await phone.page.waitForTimeout(1000);
    await phone.shot("12-phone-report");
    await phone.page.locator("img").last().scrollIntoViewIfNeeded();
    await phone.page.waitForTimeout(800);
    await phone.shot("13-phone-images");
    const revoked = await page.evaluate(async (id) => {
      const { csrf } = await (await fetch("/api/v1/session")).json();
      return (await fetch(`/api/v1/shares/${id}`, { method: "DELETE", headers: { "x-csrf-token": csrf } })).status;
    }, made.id);
    assert.equal(revoked, 204);
    await phone.page.reload();
    await phone.page.getByText("链接已停用").first().waitFor(say);
  });

  await step("the timeline lists every step in order", async () => {
    const { page, shot } = state.senior;
    await page.goto(`${base}/orders/${state.order.id}/timeline`);
    await page.getByText("HIS").first().waitFor(say);
    await page.waitForTimeout(800);
    await shot("14-timeline");
    const events = await page.evaluate(async (id) => (await (await fetch(`/api/v1/orders/${id}/timeline`)).json()).items, state.order.id);
    const topics = events.map(({ topic }) => topic);
    const wanted = [
      "order.created", "appt.booked", "patient.arrived", "queue.joined", "queue.called", "queue.entered", "exam.started",
      "study.matched", "study.stored", "exam.completed", "report.draft", "report.initial", "report.final", "share.created", "share.opened",
    ];
    let at = 0;
    for (const topic of topics) if (topic === wanted[at]) at += 1;
    assert.ok(topics.includes("mpps.created") && topics.includes("mpps.updated"), "what the modality reported");
    assert.equal(at, wanted.length, `${wanted[at]} is missing or out of order in ${topics.join(" ")}`);
  });

  await step("the same screens in English", async () => {
    const reader = await as("radiologist", { locale: "en-US" });
    const { page, shot } = reader;
    await page.goto(`${base}/reading/${state.order.id}`);
    await page.locator("canvas").first().waitFor(say);
    await page.waitForTimeout(2000);
    await shot("15-reading-room-en");
    await page.goto(`${base}/orders/${state.order.id}/timeline`);
    await page.waitForTimeout(1500);
    await shot("16-timeline-en");
    const desk = await as("registrar", { locale: "en-US" });
    await desk.page.waitForTimeout(1500);
    await desk.shot("17-desk-en");
  });

  await step("no page complained", () => {
    assert.deepEqual(people.flatMap(({ complaints }) => complaints), []);
  });
});

async function cookie({ context }) {
  return (await context.cookies()).map(({ name, value }) => `${name}=${value}`).join("; ");
}

async function report({ page }, order) {
  return page.evaluate(async (id) => (await (await fetch(`/api/v1/orders/${id}/reading`)).json()).report, order);
}
