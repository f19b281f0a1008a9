// The pages that walk.mjs visits: who opens them, where, and what is done there before the picture is taken.
//
// A stop: name; role (a demo user; none: not signed in); path (text, or a function of the tools); act (what is done on
// the page); size ("desk" or "phone" when it makes sense on one only); theme; expects (HTTP refusals that belong to it).
import { connect } from "node:net";

const say = { timeout: 8000 };
const words = {
  zh: { book: "预约", move: "改约", arrive: "报到", versions: "版本", share: "患者链接", start: /开始写报告|继续/, more: "检查的更多操作", images: "影像", report: "报告", case: "病例", register: /登记新患者|新患者/, link: "关联" },
  en: { book: "Book", move: "Move", arrive: "Check in", versions: "Versions", share: "Patient link", start: /Start the report|Continue/, more: "More about this study", images: "Images", report: "Report", case: "Case", register: /Register/, link: "Link" },
};

/** An order in a state, as somebody who may list orders sees it; the first one that fits. */
const orderIn = async ({ as, memory }, state, fits = () => true) => {
  const key = `order ${state} ${fits}`;
  memory[key] ??= (await as("head")(`/orders?limit=200&state=${state}`)).items.find(fits);
  if (!memory[key]) throw new Error(`no order in ${state}`);
  return memory[key];
};
const withImages = ({ images }) => images > 1;
const button = (page, name) => page.getByRole("button", typeof name === "string" ? { name, exact: true } : { name });

/** The viewer has drawn its first picture. On the phone the tab with the pictures is opened first. */
async function pictures({ page, phone, language }) {
  if (phone) await page.locator(".ant-segmented-item").first().click(say);
  await page.locator("canvas").first().waitFor({ timeout: 20_000 });
  await page.waitForTimeout(2500);
}

const reading = (state, fits) => async (tools) => `/reading/${(await orderIn(tools, state, fits)).id}`;

/** The report is open for writing. */
async function writing({ page, phone, language }) {
  if (phone) await page.getByText(words[language].report, { exact: true }).first().click(say);
  const start = button(page, words[language].start);
  await start.or(page.locator("textarea")).first().waitFor(say);
  if (await start.count()) await start.first().click();
  await page.locator("textarea").first().waitFor(say);
}

/** A link for the patient of a signed report: made once, opened by each phone. */
async function share(tools) {
  const order = await orderIn(tools, "audited", withImages);
  if (!tools.memory.share) {
    const made = await tools.as("senior")(`/orders/${order.id}/shares`, "POST", { valid_days: 7, images: true });
    const patient = await tools.as("senior")(`/patients/${order.patient.id}`);
    const number = patient.phone ?? patient.identifiers.find(({ kind }) => kind === "id_card")?.value ?? "";
    tools.memory.share = { path: new URL(made.url).pathname, birth: order.patient.birth_date, last4: number.slice(-4) };
  }
  return tools.memory.share.path;
}
async function unlock({ page, memory }) {
  const [year, month, day] = memory.share.birth.split("-");
  const fields = page.locator("input");
  // A phone that has opened the link before is let in without being asked again.
  await fields.first().or(page.locator("article, h2")).first().waitFor(say);
  if ((await fields.count()) < 4) return;
  for (const [n, text] of [year, month, day, memory.share.last4].entries()) await fields.nth(n).fill(text);
  await page.locator("form button").last().click();
  await page.locator("form").waitFor({ state: "detached", ...say });
}

/**
 * What a demo hospital lacks: a study that nobody ordered, an object that cannot be read, an HL7 message that says
 * nothing useful, and a receiver that is switched off. All from an image that the server already has.
 */
export async function mishaps({ base, token, hl7, as }) {
  const bearer = { authorization: `Bearer ${token}` };
  const order = (await as("head")("/orders?limit=200&state=audited")).items.find(withImages);
  const study = order.study_uid;
  const listed = await (await fetch(`${base}/dicom-web/studies/${study}/instances?limit=1`, { headers: { ...bearer, accept: "application/dicom+json" } })).json();
  const uid = (tag) => listed[0][tag].Value[0];
  const answer = await fetch(`${base}/dicom-web/studies/${study}/series/${uid("0020000E")}/instances/${uid("00080018")}`, {
    headers: { ...bearer, accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' },
  });
  const body = Buffer.from(await answer.arrayBuffer());
  const start = body.indexOf("DICM") - 128;
  const file = Buffer.from(body.subarray(start, body.lastIndexOf("\r\n--")));
  // Same length, other person: nothing else in the file moves.
  const swap = (from, to) => {
    for (let at = file.indexOf(from); at >= 0; at = file.indexOf(from, at + 1)) file.write(to.padEnd(from.length).slice(0, from.length), at, "latin1");
  };
  const other = (text) => text.slice(0, -3) + String(999 - Number(text.slice(-3))).padStart(3, "0");
  for (const text of new Set([study, uid("0020000E"), uid("00080018"), order.accession])) swap(text, other(text));
  const store = (bytes) =>
    fetch(`${base}/dicom-web/studies`, {
      method: "POST",
      headers: { ...bearer, "content-type": 'multipart/related; type="application/dicom"; boundary=b' },
      body: Buffer.concat([Buffer.from("--b\r\ncontent-type: application/dicom\r\n\r\n"), bytes, Buffer.from("\r\n--b--\r\n")]),
    });
  await store(file);
  swap(other(uid("00080018")), `${other(uid("00080018")).slice(0, -3)}777`);
  await store(file.subarray(0, Math.floor(file.length / 2)));
  await as("admin")("/receivers/HIS", "PUT", { name: "HIS", host: "127.0.0.1", port: 9, application: "HIS", facility: "MAIN", charset: "UNICODE UTF-8", tls: false, active: true });
  if (!hl7) return;
  const message = ["MSH|^~\\&|HIS|MAIN|MINGYING|RAD|20260302080000||ORM^O01^ORM_O01|W1|P|2.5.1||||||UNICODE UTF-8", "PID|1||W1^^^&1.2.156.1&ISO^MR||步行者^测试||19800512|F", "ORC|NW|PL-W-1^HIS", "OBR|1|PL-W-1||NO-SUCH-CODE^没有的项目"].join("\r");
  await new Promise((resolve, reject) => {
    const socket = connect(hl7, "127.0.0.1", () => socket.write(`\x0b${message}\r\x1c\r`));
    socket.on("data", () => (socket.end(), resolve()));
    socket.on("error", reject);
  });
}

/** A study that no other stop opens is deleted once, so that the list has something to show. */
async function deleted({ as, memory }) {
  if (memory.deleted) return;
  const row = (await as("head")("/worklist?state=imaged,completed&limit=200")).items.filter(withImages).at(-1);
  memory.deleted = await as("head")("/deletions", "POST", { study_uid: row.study_uid, reason: "incorrect_worklist_entry", note: "选错了患者条目，已用正确条目重新发送" });
}

const tabs = (base, role, names) => names.map((name) => ({ name: `${base.slice(1)}-${name}`, role, path: `${base}/${name}` }));

export const stops = [
  { name: "login", path: "/login", expects: [401] },
  {
    name: "login-refused", path: "/login", expects: [401],
    act: async ({ page }) => {
      await page.locator("input[autocomplete=username]").fill("nobody");
      await page.locator("input[autocomplete=current-password]").fill("wrong-password");
      await page.keyboard.press("Enter");
      await page.getByRole("alert").waitFor(say);
    },
  },
  {
    name: "login-code", path: "/login", expects: [401],
    act: async ({ page, as, totp, memory }) => {
      if (!memory.secret) {
        memory.secret = (await as("expert")("/session/second-factor", "POST")).secret;
        await as("expert")("/session/second-factor/confirm", "POST", { code: totp(memory.secret) });
        memory.cleanup = () => as("expert")("/session/second-factor", "DELETE");
      }
      await page.locator("input[autocomplete=username]").fill("expert");
      await page.locator("input[autocomplete=current-password]").fill("mingying-demo");
      await page.keyboard.press("Enter");
      await page.locator("#login-code").waitFor(say);
    },
  },
  { name: "desk", role: "registrar", path: "/desk" },
  { name: "desk-dark", role: "registrar", path: "/desk", theme: "dark" },
  { name: "desk-none", role: "registrar", path: "/desk?q=zzzzzz" },
  { name: "palette", role: "registrar", path: "/desk", act: async ({ page }) => { await page.keyboard.press("/"); await page.keyboard.type("wang"); await page.waitForTimeout(900); } },
  { name: "visit-find", role: "registrar", path: "/desk/visit", act: async ({ page }) => { await page.locator("main input").first().fill("wang"); await page.waitForTimeout(900); } },
  { name: "visit-register", role: "registrar", path: "/desk/visit", act: async ({ page }) => { await page.locator("main input").first().waitFor(say); await page.keyboard.press("F4"); await page.locator("form").waitFor(say); } },
  {
    name: "visit-register-wrong", role: "registrar", path: "/desk/visit",
    act: async ({ page }) => { await page.locator("main input").first().waitFor(say); await page.keyboard.press("F4"); await page.locator("form button[type=submit]").click(say); await page.waitForTimeout(400); },
  },
  { name: "visit-order", role: "registrar", path: async (tools) => `/desk/visit?patient=${(await orderIn(tools, "scheduled")).patient.id}` },
  { name: "calendar", role: "registrar", path: "/desk/calendar" },
  { name: "patient", role: "registrar", path: async (tools) => `/patients/${(await orderIn(tools, "audited", withImages)).patient.id}` },
  { name: "report", role: "clinician", path: async (tools) => `/orders/${(await orderIn(tools, "audited", withImages)).id}/report` },
  { name: "order-clinician", role: "clinician", path: async (tools) => `/orders/${(await orderIn(tools, "audited", withImages)).id}` },
  { name: "order-scheduled", role: "registrar", path: async (tools) => `/orders/${(await orderIn(tools, "scheduled")).id}` },
  { name: "order-signed", role: "registrar", path: async (tools) => `/orders/${(await orderIn(tools, "audited", withImages)).id}` },
  {
    name: "booking", role: "registrar", path: async (tools) => `/orders/${(await orderIn(tools, "accepted", ({ modality }) => modality !== "RF")).id}`,
    act: async ({ page, language }) => { await button(page, words[language].book).click(say); await page.getByRole("dialog").waitFor(say); await page.waitForTimeout(1200); },
  },
  {
    name: "arrive", role: "registrar", path: async (tools) => `/orders/${(await orderIn(tools, "accepted", ({ modality }) => modality !== "RF")).id}`,
    act: async ({ page, language }) => { await button(page, words[language].arrive).click(say); await page.getByRole("dialog").waitFor(say); },
  },
  { name: "queue", role: "nurse", path: "/queue" },
  { name: "exam-room", role: "tech", path: "/exam" },
  {
    name: "exam-room-called", role: "tech",
    path: async (tools) => {
      const entries = (await tools.as("tech")("/queue")).items;
      const here = entries.find(({ state }) => state === "in_room") ?? entries.find(({ state }) => state === "called") ?? entries[0];
      return `/exam?room=${here.room_id}`;
    },
  },
  {
    name: "exam-room-help", role: "tech", path: "/exam", size: "desk",
    act: async ({ page }) => { await page.keyboard.press("?"); await page.getByRole("dialog").waitFor(say); },
  },
  { name: "reading-list", role: "radiologist", path: "/reading" },
  { name: "reading-list-none", role: "radiologist", path: "/reading?modality=XA" },
  {
    name: "reading-list-help", role: "radiologist", path: "/reading", size: "desk",
    act: async ({ page }) => { await page.keyboard.press("?"); await page.getByRole("dialog").waitFor(say); },
  },
  { name: "room-new", role: "radiologist", path: reading("completed", withImages), act: pictures },
  {
    name: "room-draft", role: "radiologist", path: reading("completed", withImages),
    act: async (tools) => { await writing(tools); if (!tools.phone) await tools.page.waitForTimeout(2500); },
  },
  {
    name: "room-phrases", role: "radiologist", path: reading("completed", withImages),
    act: async (tools) => {
      await writing(tools);
      await tools.page.keyboard.press("Alt+p");
      await tools.page.getByRole("option").first().waitFor(say);
      await tools.page.keyboard.type("fj");
      await tools.page.waitForTimeout(400);
    },
  },
  {
    name: "room-phrase-called", role: "radiologist", path: reading("completed", withImages),
    act: async (tools) => {
      await writing(tools);
      await tools.page.locator("textarea").first().press("Control+End");
      await tools.page.keyboard.type(";fj");
      await tools.page.getByRole("option").first().waitFor(say);
    },
  },
  { name: "phrases", role: "radiologist", path: "/phrases" },
  { name: "phrases-shared", role: "senior", path: "/phrases", act: async ({ page }) => { await page.getByRole("radio").nth(1).click(say); await page.waitForTimeout(400); } },
  { name: "phrases-none", role: "trainee", path: "/phrases" },
  {
    name: "phrase-form", role: "senior", path: "/phrases",
    act: async ({ page }) => { await page.getByRole("radio").nth(1).click(say); await page.locator("tbody tr").first().click(say); await page.getByRole("dialog").waitFor(say); await page.waitForTimeout(400); },
  },
  { name: "templates", role: "senior", path: "/phrases/templates" },
  {
    name: "template-draft", role: "senior", path: "/phrases/templates",
    act: async ({ page }) => { await page.getByRole("radio").nth(1).click(say); await page.locator("tbody tr").first().click(say); await page.getByRole("dialog").waitFor(say); await page.waitForTimeout(600); },
  },
  {
    name: "template-form", role: "radiologist", path: "/phrases/templates",
    act: async ({ page, language }) => { await button(page, language === "zh" ? /新建模板/ : /New template/).click(say); await page.getByRole("dialog").waitFor(say); await page.waitForTimeout(600); },
  },
  {
    name: "room-choice", role: "radiologist", path: reading("completed", withImages),
    act: async (tools) => {
      await writing(tools);
      await tools.page.locator("textarea").first().fill("右肺上叶见一{密度|实性|部分实性|磨玻璃}结节。");
      await tools.page.keyboard.press("F2");
      await tools.page.getByRole("option").first().waitFor(say);
    },
  },
  { name: "room-audit", role: "senior", path: reading("reported"), act: async (tools) => { if (tools.phone) await tools.page.getByText(words[tools.language].report, { exact: true }).first().click(say); else await pictures(tools); } },
  { name: "room-case", role: "senior", path: reading("reported"), size: "phone", act: async ({ page, language }) => page.getByText(words[language].case, { exact: true }).first().click(say) },
  {
    name: "room-versions", role: "senior", path: reading("audited", withImages),
    act: async ({ page, phone, language }) => {
      if (phone) await page.getByText(words[language].report, { exact: true }).first().click(say);
      await button(page, words[language].versions).click(say);
      await page.waitForTimeout(1500);
    },
  },
  {
    name: "room-share", role: "senior", path: reading("audited", withImages),
    act: async ({ page, phone, language }) => {
      if (phone) await page.getByText(words[language].report, { exact: true }).first().click(say);
      await button(page, words[language].share).click(say);
      await page.waitForTimeout(1000);
    },
  },
  { name: "room-help", role: "radiologist", path: reading("completed", withImages), size: "desk", act: async (tools) => { await pictures(tools); await tools.page.keyboard.press("?"); await tools.page.getByRole("dialog").waitFor(say); } },
  { name: "room-clinician", role: "head", path: reading("audited", withImages), act: pictures },
  { name: "viewer", role: "radiologist", path: async (tools) => `/viewer?study=${(await orderIn(tools, "audited", withImages)).study_uid}`, act: async ({ page }) => { await page.locator("canvas").first().waitFor({ timeout: 20_000 }); await page.waitForTimeout(2500); } },
  { name: "unmatched", role: "tech", path: "/unmatched" },
  {
    name: "unmatched-link", role: "tech", path: "/unmatched",
    act: async ({ page, language }) => { await page.getByRole("button", { name: words[language].link }).first().click(say); await page.getByRole("dialog").waitFor(say); await page.waitForTimeout(800); },
  },
  { name: "timeline", role: "head", path: async (tools) => `/orders/${(await orderIn(tools, "audited", withImages)).id}/timeline` },
  ...tabs("/interfaces", "admin", ["messages", "receivers"]),
  ...tabs("/interfaces", "engineer", ["dead-letters", "peers"]),
  ...tabs("/interfaces", "head", ["quarantine"]),
  {
    name: "interfaces-message", role: "admin", path: "/interfaces/messages",
    act: async ({ page }) => { await page.locator("tbody tr").first().click(say); await page.waitForTimeout(800); },
  },
  ...tabs("/admin", "admin", ["status", "users", "displays"]),
  ...tabs("/admin", "engineer", ["storage"]),
  { name: "admin-deletions", role: "admin", path: async (tools) => { await deleted(tools); return "/admin/deletions"; } },
  { name: "admin-deletions-none", role: "admin", path: "/admin/deletions?q=zzzzzz&show=all" },
  {
    name: "viewer-delete", role: "head", path: async (tools) => `/viewer?study=${(await orderIn(tools, "completed", withImages)).study_uid}`,
    act: async ({ page, language }) => {
      await page.getByRole("button", { name: words[language].more }).click(say);
      await page.getByRole("menuitem").first().click(say);
      await page.getByRole("dialog").waitFor(say);
      await page.waitForTimeout(600);
    },
  },
  {
    name: "admin-user", role: "admin", path: "/admin/users",
    act: async ({ page }) => { await page.locator("tbody tr").first().click(say); await page.waitForTimeout(600); },
  },
  { name: "admin-audit", role: "security", path: "/admin/audit" },
  { name: "profile", role: "clinician", path: "/profile" },
  { name: "clinician-home", role: "clinician", path: "/" },
  { name: "qc-home", role: "qc", path: "/" },
  {
    name: "notices", role: "registrar", path: "/desk",
    act: async (tools) => {
      const { page, as, language } = tools;
      const like = await orderIn(tools, "scheduled");
      const { department, physician, diagnosis, history, purpose, priority, visit_class } = like;
      const order = { patient_id: like.patient.id, items: [{ catalogue_id: like.items[0].catalogue_id, side: null }], department, physician, diagnosis, history, purpose, priority, visit_class, special: [] };
      const made = await as("nurse")("/orders", "POST", order);
      await as("nurse")(`/orders/${made.id}/return`, "POST", { reason: "W" });
      await page.locator(".ant-badge-count, .ant-scroll-number").first().waitFor(say);
      await button(page, language === "zh" ? "通知" : "Notifications").click(say);
      await page.waitForTimeout(500);
    },
  },
  { name: "missing-page", role: "registrar", path: "/no-such-page" },
  { name: "missing-order", role: "registrar", path: "/orders/01900000-0000-7000-8000-00000000dead", expects: [404] },
  { name: "forbidden-reading", role: "registrar", path: "/reading", expects: [403] },
  { name: "forbidden-admin", role: "registrar", path: "/admin/users", expects: [403] },
  {
    name: "display", role: "head", size: "desk", settle: 1500,
    path: async ({ as, memory }) => {
      memory.displays ??= (await as("head")("/displays")).items;
      return `/display/${memory.displays[0].id}`;
    },
  },
  { name: "display-refused", size: "desk", path: "/display/01900000-0000-7000-8000-00000000dead", expects: [401, 403, 404] },
  { name: "patient-gate", path: share, expects: [401, 403] },
  { name: "patient-report", path: share, expects: [401, 403], act: unlock, settle: 1500 },
  {
    name: "patient-images", path: share, expects: [401, 403], settle: 1500,
    act: async (tools) => { await unlock(tools); await tools.page.locator("img").last().scrollIntoViewIfNeeded(); },
  },
  {
    name: "patient-care", path: share, expects: [401, 403], settle: 1000,
    act: async (tools) => { await unlock(tools); await tools.page.locator("button[aria-pressed=false]").first().click(); },
  },
  { name: "patient-gone", path: "/p/no-such-link", expects: [401, 403, 404, 410] },
];
