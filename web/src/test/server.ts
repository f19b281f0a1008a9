import type {
  Appointment, AuditRow, CatalogueItem, DeadLetter, Deletion, Device, Directory, Display, DisplayView, Message, MessageText, NewOrder, NewPatient,
  Order, Patient, PatientSummary, Peer, Quarantined, QueueEntry, Room, Session, SimilarPatient, Slot, Status, Storage, Study, UnmatchedStudy, User,
} from "@/api/types";
import { addDays, dayOf, instantOf, today } from "@/lib/time";

/**
 * A small stand-in for the server: the contract's shapes over lists in memory. Component tests put it
 * behind `fetch`. It knows no rules beyond what a screen needs to be seen working.
 */
export interface Answer {
  status: number;
  body: unknown;
}

const ACTIONS =
  "session.self patient.register patient.read patient.edit catalogue.read order.create order.read order.accept order.cancel slot.read appointment.book queue.read queue.checkin queue.call display.read display.manage exam.read exam.perform study.read study.link quarantine.manage reading.read report.read timeline.read message.read message.repair deadletter.read deadletter.retry peer.read peer.manage user.read user.manage storage.read storage.manage study.delete audit.read status.read live.listen".split(" ");

const STUDY: Study = {
  study_uid: "1.2.3", patient_name: "李思", patient_id: "M100", accession: "A1", date: "2026-03-02", description: "Chest", modality: "CT", images: 120,
  series: [
    { series_uid: "1.2.3.1", number: 1, modality: "CT", description: "Scout", body_part: "CHEST", images: 2 },
    { series_uid: "1.2.3.2", number: 2, modality: "CT", description: "Lung", body_part: "CHEST", images: 118 },
  ],
};

const rooms: Room[] = [
  ["r1", "CT1", "CT 一室", "CT Room 1"],
  ["r2", "CT2", "CT 二室", "CT Room 2"],
  ["r3", "DR1", "DR 一室", "X-ray Room 1"],
  ["r4", "US1", "超声一室", "Ultrasound Room 1"],
].map(([id = "", code = "", name = "", name_en = ""]) => ({ id, code, name, name_en, department_id: "d1", campus_id: "c1" }));
const devices: Device[] = [
  ["v1", "CT01", "CT01", "CT", "r1"],
  ["v2", "CT02", "CT02", "CT", "r2"],
  ["v3", "DR01", "DR01", "DX", "r3"],
  ["v4", "US01", "US01", "US", "r4"],
].map(([id = "", ae_title = "", name = "", modality = "", room_id = ""]) => ({ id, ae_title, name, modality, room_id, active: true, mobile: false }));
const item = (id: string, code: string, name: string, name_en: string, modality: string, sided = false, contrast = false, duration_min = 15): CatalogueItem => ({
  id, code, name, name_en, modality, body_part: "", sided, contrast, duration_min, preparation: contrast ? "空腹 4 小时；确认肾功能" : "", preparation_en: contrast ? "Fast for 4 hours; check renal function" : "", price_cents: 28000,
});
const catalogue: CatalogueItem[] = [
  item("i1", "CT-CHEST", "胸部CT平扫", "Chest CT", "CT"),
  item("i2", "CT-CHEST-C", "胸部CT增强", "Chest CT with contrast", "CT", false, true, 30),
  item("i3", "CT-HEAD", "头颅CT平扫", "Head CT", "CT"),
  item("i4", "CT-ABD-C", "上腹部CT增强", "Upper abdomen CT with contrast", "CT", false, true, 30),
  item("i5", "DX-CHEST", "胸部正侧位片", "Chest X-ray, PA and lateral", "DX", false, false, 10),
  item("i6", "DX-KNEE", "膝关节正侧位片", "Knee X-ray", "DX", true, false, 10),
  item("i7", "US-ABD", "腹部超声", "Abdominal ultrasound", "US", false, false, 20),
  item("i8", "US-THY", "甲状腺超声", "Thyroid ultrasound", "US", false, false, 15),
];
const directory: Directory = {
  org: { id: "o1", name: "明影示范医院", name_en: "Mingying Demo Hospital" },
  campuses: [{ id: "c1", code: "M", name: "主院区", name_en: "Main campus" }],
  departments: [
    { id: "d1", code: "RAD", name: "放射科", name_en: "Radiology", kind: "imaging", campus_id: "c1" },
    { id: "d2", code: "RESP", name: "呼吸内科", name_en: "Respiratory Medicine", kind: "clinical", campus_id: "c1" },
    { id: "d3", code: "ORTH", name: "骨科", name_en: "Orthopaedics", kind: "clinical", campus_id: "c1" },
  ],
  rooms,
  devices,
  catalogue,
  zone: "Asia/Shanghai",
};

const summary = (patient: Patient): PatientSummary => ({ id: patient.id, name: patient.name, name_latin: patient.name_latin, sex: patient.sex, birth_date: patient.birth_date, mrn: patient.mrn });

export class TestServer {
  signedIn = true;
  deletions: Deletion[] = [];
  calls: { method: string; path: string; body: unknown }[] = [];
  patients: Patient[] = [];
  orders: Order[] = [];
  appointments: Appointment[] = [];
  queue: QueueEntry[] = [];
  private serial = 0;

  constructor() {
    const people: [string, string, "M" | "F", string][] = [
      ["张伟国", "Zhang Weiguo", "M", "1957-03-08"], ["李秀英", "Li Xiuying", "F", "1948-11-20"], ["王芳", "Wang Fang", "F", "1985-06-01"], ["王芳", "Wang Fang", "F", "1985-06-01"],
      ["欧阳建华", "Ouyang Jianhua", "M", "1972-01-15"], ["赵小宝", "Zhao Xiaobao", "M", addDays(today(), -400)], ["陈静", "Chen Jing", "F", "1990-09-09"], ["刘洋", "Liu Yang", "M", "1966-12-30"],
    ];
    people.forEach(([name, name_latin, sex, birth_date], index) =>
      this.patients.push({
        id: `p${index + 1}`, name, name_latin, sex, birth_date, mrn: `M${100200 + index}`, phone: `1380013800${index}`, address: "主院路 1 号", temporary: false, version: 1, created_at: new Date().toISOString(),
        identifiers: [{ issuer: "MRN", kind: "mrn", value: `M${100200 + index}` }],
        alerts: index === 0 ? [{ kind: "allergy", text: "碘造影剂" }, { kind: "egfr", text: "eGFR 42" }] : [],
      }),
    );
    const states: [number, number, Order["state"], Order["priority"]][] = [
      [0, 1, "arrived", "routine"], [1, 0, "arrived", "emergency"], [2, 0, "arrived", "urgent"], [3, 2, "scheduled", "routine"], [4, 5, "accepted", "routine"], [5, 4, "ordered", "routine"], [6, 6, "completed", "routine"], [7, 0, "audited", "routine"],
    ];
    for (const [person, what, state, priority] of states) this.addOrder(person, what, state, priority);
    this.orders.slice(0, 3).forEach((order, index) => this.checkIn(order, index === 0 ? "called" : "waiting"));
  }

  private id(prefix: string): string {
    return `${prefix}${++this.serial}`;
  }

  private addOrder(person: number, what: number, state: Order["state"], priority: Order["priority"]): Order {
    const patient = this.patients[person];
    const chosen = catalogue[what];
    if (!patient || !chosen) throw new Error("fixture");
    const id = this.id("o");
    const device = devices.find(({ modality }) => modality === chosen.modality);
    const start = instantOf(today(), `${String(9 + (this.serial % 7)).padStart(2, "0")}:${this.serial % 2 ? "30" : "00"}`).toISOString();
    const end = new Date(Date.parse(start) + chosen.duration_min * 60_000).toISOString();
    const booked = !["ordered", "accepted"].includes(state) && device;
    const order: Order = {
      id, accession: `A${today().slice(2).replace(/-/g, "")}${String(this.serial).padStart(6, "0")}`, placer_number: null, patient: summary(patient), state, priority, visit_class: priority === "emergency" ? "emergency" : "outpatient",
      department: "呼吸内科", physician: "周医生", diagnosis: "咳嗽待查", history: "咳嗽两周", purpose: "排除肺炎", special: priority === "urgent" ? ["implant"] : [], findings: state === "ordered" ? ["no_diagnosis"] : [], reason: "", images: 0, modality: chosen.modality,
      items: [{ id: this.id("oi"), catalogue_id: chosen.id, code: chosen.code, name: chosen.name, name_en: chosen.name_en, modality: chosen.modality, body_part: chosen.body_part, side: chosen.sided ? "L" : null }],
      study_uid: `2.25.${this.serial}`, appointment: booked ? { id: this.id("a"), device_id: device.id, device_name: device.name, room_name: rooms.find((room) => room.id === device.room_id)?.name ?? "", start, end, state: "booked" } : null,
      ticket: null, created_at: new Date().toISOString(), version: 1, source: "desk",
    };
    this.orders.push(order);
    if (order.appointment)
      this.appointments.push({ ...order.appointment, order_id: id, accession: order.accession, patient_name: patient.name, item_name: chosen.name, item_name_en: chosen.name_en, overlaps: false });
    return order;
  }

  private checkIn(order: Order, state: QueueEntry["state"] = "waiting"): QueueEntry {
    const device = devices.find(({ modality }) => modality === order.modality) ?? devices[0];
    const room = rooms.find(({ id }) => id === device?.room_id) ?? rooms[0];
    const first = order.items[0];
    if (!device || !room || !first) throw new Error("fixture");
    const entry: QueueEntry = {
      id: this.id("q"), ticket: `C${String(this.queue.length + 1).padStart(3, "0")}`, order_id: order.id, accession: order.accession, patient: order.patient, masked_name: `${order.patient.name.charAt(0)}*`, item_name: first.name, item_name_en: first.name_en,
      priority: order.priority, class: "appointment", state, calls: state === "called" ? 1 : 0, room_id: room.id, room_name: room.name, device_id: device.id, device_name: device.name, arrived_at: new Date(Date.now() - 17 * 60_000).toISOString(),
      called_at: state === "called" ? new Date().toISOString() : null, special: order.special, exam_state: order.state, position: this.queue.length + 1,
    };
    order.ticket = entry.ticket;
    if (order.state === "accepted" || order.state === "scheduled") order.state = "arrived";
    this.queue.push(entry);
    return entry;
  }

  session(): Session {
    return { user: { id: "u1", username: "demo", name: "演示用户", roles: ["admin", "registrar"], org_id: "o1" }, csrf: "token", expires_at: new Date(Date.now() + 8 * 3600_000).toISOString(), actions: ACTIONS, demo: true, second_factor: false, must_enrol: false };
  }

  answer(method: string, href: string, body: unknown = undefined): Answer {
    const url = new URL(href, "http://test");
    const path = url.pathname.replace(/^\/api\/v1/, "");
    const query = url.searchParams;
    this.calls.push({ method, path, body });
    const given = (body ?? {}) as Record<string, unknown>;
    const page = <T>(items: T[]): Answer => ({ status: 200, body: { items, next: null } });
    const ok = (value: unknown, status = 200): Answer => ({ status, body: value });
    const fail = (status: number, code: string, params: Record<string, string> = {}): Answer => ({ status, body: { type: "about:blank", title: "", status, code, params } });
    const [, first = "", second = "", third = ""] = path.split("/").map(decodeURIComponent);
    const key = `${method} /${first}${second ? "/:id" : ""}${third ? `/${third}` : ""}`;

    if (path === "/session") {
      if (method === "DELETE") this.signedIn = false;
      if (method === "POST") {
        if (given["password"] === "wrong") return fail(401, "login.failed");
        if (given["username"] === "factor" && given["code"] === undefined) return fail(401, "login.code_required");
        this.signedIn = true;
      }
      return this.signedIn ? ok(this.session()) : method === "DELETE" ? ok(null, 204) : fail(401, "login.required");
    }
    if (!this.signedIn) return fail(401, "login.required");
    const order = this.orders.find(({ id }) => id === second);
    const entry = this.queue.find(({ id }) => id === second);
    switch (key) {
      case "POST /session/:id":
        return ok({ secret: "JBSWY3DPEHPK3PXP", uri: "otpauth://totp/x", qr_svg: '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0h2v2H0zM3 3h1v1H3z"/></svg>' });
      case "GET /directory":
        return ok(directory);
      case "GET /patients": {
        const q = query.get("q") ?? "";
        return page(this.patients.filter(({ name, mrn, phone }) => name.startsWith(q) || mrn === q || phone === q).map(summary));
      }
      case "GET /patients/:id": {
        if (second === "similar") {
          const similar: SimilarPatient[] = this.patients.filter(({ name, birth_date }) => name === query.get("name") && birth_date === query.get("birth_date")).map((patient) => ({ patient: summary(patient), reason: "name_birth", blocking: false }));
          return ok(similar);
        }
        const patient = this.patients.find(({ id }) => id === second);
        return patient ? ok(patient) : fail(404, "patient.not_found");
      }
      case "POST /patients": {
        const fresh = given as unknown as NewPatient;
        const patient: Patient = { id: this.id("p"), name: fresh.name || "无名氏", name_latin: "", sex: fresh.sex, birth_date: fresh.birth_date ?? null, mrn: `M${this.serial}`, phone: fresh.phone ?? null, address: fresh.address ?? null, identifiers: fresh.identifiers, alerts: fresh.alerts ?? [], temporary: fresh.unidentified ?? false, version: 1, created_at: new Date().toISOString() };
        this.patients.push(patient);
        return ok(patient, 201);
      }
      case "GET /orders": {
        const states = query.get("state")?.split(",");
        const q = query.get("q");
        return page(
          this.orders
            .filter((each) => (!states || states.includes(each.state)) && (!query.get("patient_id") || each.patient.id === query.get("patient_id")) && (!q || each.accession === q || each.patient.name.startsWith(q)))
            .reverse(),
        );
      }
      case "POST /orders": {
        const fresh = given as unknown as NewOrder;
        const person = this.patients.findIndex(({ id }) => id === fresh.patient_id);
        return ok(this.addOrder(person, catalogue.findIndex(({ id }) => id === fresh.items[0]?.catalogue_id), "accepted", fresh.priority), 201);
      }
      case "GET /orders/:id":
        return order ? ok(order) : fail(404, "order.not_found");
      case "POST /orders/:id/accept":
      case "POST /orders/:id/return":
      case "POST /orders/:id/cancel":
      case "POST /orders/:id/start":
      case "POST /orders/:id/complete":
      case "POST /orders/:id/discontinue":
      case "POST /orders/:id/redo": {
        if (!order) return fail(404, "order.not_found");
        if (third === "complete" && given["reason"] === undefined && order.state === "in_progress") return fail(422, "exam.no_images");
        order.state = ({ accept: "accepted", return: "returned", cancel: "cancelled", start: "in_progress", complete: "completed", discontinue: "discontinued", redo: "redo" } as const)[third as "accept"];
        const waiting = this.queue.find(({ order_id }) => order_id === order.id);
        if (waiting) {
          waiting.exam_state = order.state;
          if (third === "complete") waiting.state = "done";
        }
        return ok(order);
      }
      case "POST /orders/:id/arrive":
        return order ? ok(this.checkIn(order), 201) : fail(404, "order.not_found");
      case "GET /slots": {
        const asked = this.orders.find(({ id }) => id === query.get("order_id"));
        const slots: Slot[] = [];
        for (let offset = 0; offset < Number(query.get("days") ?? 1); offset++) {
          const day = addDays(query.get("from") ?? today(), offset);
          for (const device of devices.filter(({ modality }) => modality === asked?.modality)) {
            for (let minute = 8 * 60; minute < 17 * 60; minute += 15) {
              const start = instantOf(day, `${Math.floor(minute / 60)}:${minute % 60}`);
              const past = start.getTime() < Date.now();
              const taken = (minute / 15 + offset) % 5 === 0;
              slots.push({ device_id: device.id, device_name: device.name, room_name: rooms.find(({ id }) => id === device.room_id)?.name ?? "", start: start.toISOString(), end: new Date(start.getTime() + 15 * 60_000).toISOString(), free: !past && !taken, reason: past ? "past" : taken ? "taken" : null });
            }
          }
        }
        return ok(slots);
      }
      case "GET /appointments":
        return ok(this.appointments.filter(({ device_id, start }) => (!query.get("device_id") || device_id === query.get("device_id")) && dayOf(new Date(start)) === query.get("date")));
      case "POST /appointments": {
        const booked = this.orders.find(({ id }) => id === given["order_id"]);
        const device = devices.find(({ id }) => id === given["device_id"]);
        const what = booked?.items[0];
        if (!booked || !device || !what) return fail(404, "order.not_found");
        const start = String(given["start"]);
        const appointment: Appointment = { id: this.id("a"), order_id: booked.id, accession: booked.accession, patient_name: booked.patient.name, item_name: what.name, item_name_en: what.name_en, device_id: device.id, device_name: device.name, room_name: rooms.find(({ id }) => id === device.room_id)?.name ?? "", start, end: new Date(Date.parse(start) + 15 * 60_000).toISOString(), state: "booked", overlaps: false };
        this.appointments.push(appointment);
        booked.state = "scheduled";
        booked.appointment = appointment;
        return ok(appointment, 201);
      }
      case "GET /queue":
        return page(this.queue.filter(({ room_id }) => !query.get("room_id") || room_id === query.get("room_id")));
      case "POST /queue/:id": {
        const next = this.queue.find(({ state, room_id }) => state === "waiting" && room_id === given["room_id"]);
        if (!next) return ok(null, 204);
        Object.assign(next, { state: "called", calls: next.calls + 1, called_at: new Date().toISOString() });
        return ok(next);
      }
      case "POST /queue/:id/call":
      case "POST /queue/:id/skip":
      case "POST /queue/:id/return":
      case "POST /queue/:id/enter":
      case "POST /queue/:id/hold":
      case "POST /queue/:id/leave": {
        if (!entry) return fail(404, "queue.not_found");
        entry.state = ({ call: "called", skip: "passed", return: "waiting", enter: "in_room", hold: "on_hold", leave: "left" } as const)[third as "call"];
        if (third === "call") Object.assign(entry, { calls: entry.calls + 1, called_at: new Date().toISOString() });
        return ok(entry);
      }
      case "GET /displays": {
        const displays: Display[] = [{ id: "s1", name: "CT 候诊区", room_ids: ["r1", "r2", "r3", "r4"] }];
        return ok(displays);
      }
      case "POST /displays":
        return ok({ id: "s2", key: "k-123" }, 201);
      case "GET /displays/:id": {
        const view: DisplayView = {
          id: second, name: "一楼放射科候诊区", now: new Date().toISOString(),
          rooms: rooms.map((room, index) => ({
            room_id: room.id, room_name: room.name, room_name_en: room.name_en,
            calling: index === 3 ? null : { ticket: `${room.code.charAt(0)}0${index + 1}2`, masked_name: ["张*国", "李*英", "欧阳*华"][index] ?? "王*", called_at: new Date(Date.now() - index * 60_000).toISOString() },
            waiting: ["013", "014", "015", "016"].slice(0, 4 - index).map((number) => ({ ticket: `${room.code.charAt(0)}${number}`, masked_name: "陈*" })),
            waiting_count: 7 - index,
          })),
        };
        return ok(view);
      }
      case "GET /messages": {
        const messages: Message[] = [
          { id: "m1", direction: "in", peer: "HIS^MAIN", type: "OMG^O19", control_id: "MSG00012", state: "error", error_code: "hl7.catalogue_unknown", error_text: "OBR-4", received_at: new Date().toISOString(), attempts: 2, order_id: null },
          { id: "m2", direction: "in", peer: "HIS^MAIN", type: "ADT^A08", control_id: "MSG00013", state: "done", error_code: null, error_text: null, received_at: new Date().toISOString(), attempts: 1, order_id: null },
        ];
        return page(messages.filter(({ state }) => !query.get("state") || state === query.get("state")));
      }
      case "GET /messages/:id": {
        const message: MessageText = { id: second, direction: "in", peer: "HIS^MAIN", type: "OMG^O19", control_id: "MSG00012", state: "error", error_code: "hl7.catalogue_unknown", error_text: "OBR-4", received_at: new Date().toISOString(), attempts: 2, order_id: null, text: "MSH|^~\\&|HIS|MAIN|MINGYING|MAIN|20261124081500||OMG^O19|MSG00012|P|2.5.1|||||CHN|UNICODE UTF-8\nPID|1||M100200^^^MRN||张^伟国||19570308|M\nORC|NW|HIS7788\nOBR|1|HIS7788||CT-CHES^胸部CT平扫" };
        return ok(message);
      }
      case "POST /messages/:id/replay":
        return String(given["text"] ?? "").includes("CT-CHEST") ? ok({}) : fail(422, "hl7.catalogue_unknown", { location: "OBR-4" });
      case "GET /dead-letters": {
        const letters: DeadLetter[] = [{ id: "l1", subscriber: "mllp.result", event_id: "e1", topic: "report.final", attempts: 12, last_error: "mllp.unreachable", created_at: new Date().toISOString() }];
        return page(letters);
      }
      case "GET /peers": {
        const peers: Peer[] = [
          { aet: "CT01", host: "10.0.8.11", port: 104, kind: "modality", charset: "", created_at: new Date().toISOString(), last_echo: { at: new Date().toISOString(), ok: true, ms: 12, error: null }, received: 48213, last_seen: new Date().toISOString() },
          { aet: "PACS2", host: "10.0.9.20", port: 11112, kind: "archive", charset: "", created_at: new Date().toISOString(), last_echo: { at: new Date().toISOString(), ok: false, ms: 5000, error: "timeout" }, received: 0, last_seen: null },
        ];
        return page(peers);
      }
      case "GET /quarantine": {
        const files: Quarantined[] = [{ id: "1", received_at: new Date().toISOString(), source: "AE CT01", reason: "missing_uid", size: 528_384, sop_uid: "", study_uid: "" }];
        return page(files);
      }
      case "GET /users": {
        const users: User[] = (["admin", "registrar", "tech", "radiologist"] as const).map((role, index) => ({ id: `u${index}`, username: role, name: `用户${index}`, roles: [role], active: index !== 2, second_factor: index === 0, demo: true, created_at: new Date().toISOString() }));
        return page(users);
      }
      case "GET /audit": {
        const rows: AuditRow[] = Array.from({ length: 12 }, (_, index) => ({ id: String(index), at: new Date(Date.now() - index * 7000).toISOString(), actor_kind: "user", actor_id: "0193a1b2-0000-7000", source: "http 127.0.0.1", action: index % 4 ? "order.create" : "user.read", object_kind: "order", object_id: `o${index}`, outcome: index === 3 ? "denied" : "done", detail: "", sealed: index > 1 }));
        return page(rows);
      }
      case "GET /status": {
        const status: Status = { version: "0.1.0", database: "sqlite", audit: { rows: 1204, sealed: 1203, lag_seconds: 1, intact: true }, blob: { packs: 3, bytes: 1_204_000_000, free_bytes: 80e9, room: "enough" }, deliveries: { pending: 2, dead: 1 }, uptime_seconds: 93_784, demo: true };
        return ok(status);
      }
      case "GET /worklist/counts":
        return page([]);
      case "GET /worklist":
      case "GET /unmatched": {
        const study: UnmatchedStudy = { study_uid: STUDY.study_uid, patient_name: STUDY.patient_name, patient_id: STUDY.patient_id, modality: "CT", accession: STUDY.accession, study_date: STUDY.date, description: STUDY.description, images: STUDY.images, source_aet: "CT01", received_at: new Date().toISOString(), reason: "no_order" };
        return page(this.deletions.some(({ state }) => state === "deleted") ? [] : [study]);
      }
      case "GET /studies/:id":
        return ok(STUDY);
      case "GET /deletions": {
        const state = query.get("state");
        return page(this.deletions.filter((deletion) => state === null || deletion.state === state));
      }
      case "POST /deletions": {
        if (given["reason"] === "retention_expired") return fail(409, "archive.retained", { until: "2056-03-02" });
        const deletion: Deletion = { id: "7", study_uid: String(given["study_uid"]), series_uid: typeof given["series_uid"] === "string" ? given["series_uid"] : null, sop_uid: null, patient_id: STUDY.patient_id, accession: STUDY.accession, study_date: STUDY.date, reason: "quality", note: String(given["note"]), deleted_by: "u1", deleted_by_name: "演示用户", deleted_at: new Date().toISOString(), restorable_until: new Date(Date.now() + 30 * 86_400_000 + 60_000).toISOString(), images: STUDY.images, bytes: 63_000_000, state: "deleted" };
        this.deletions.unshift(deletion);
        return ok(deletion);
      }
      case "POST /deletions/:id/restore": {
        const deletion = this.deletions.find(({ id }) => id === second);
        if (deletion === undefined) return fail(404, "not_found");
        deletion.state = "restored";
        return ok(deletion);
      }
      case "GET /storage": {
        const storage: Storage = {
          packs: 3, pack_bytes: 3e9, free_bytes: 15e9, reserve_bytes: 1e9, warning_bytes: 21e9, room: "low", bytes_per_day: 2e9, days_left: 7, damaged: 1,
          damages: [{ pack: "0000000000000002", from: 4096, to: 532_480, missing: false, sop_uid: "1.2.3.4.5", found_at: new Date().toISOString() }],
          check: { running: this.calls.some(({ path }) => path === "/storage/check"), done: 1e9, total: 3e9, ended_at: this.calls.some(({ path }) => path === "/storage/check") ? null : new Date().toISOString(), at: new Date().toISOString() },
          deletions: 2, deleted_bytes: 4e8, quarantined: 1, compaction: { running: false, ended_at: null, packs: 0, freed: 0 }, derived: { bytes: 1e8, max_bytes: 2e9, hits: 99, misses: 1 }, organizations: [],
        };
        return ok(storage);
      }
      default:
        return method === "GET" ? fail(404, "not_found") : ok(null, 204);
    }
  }

  /** Puts itself behind `fetch`. */
  fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const href = typeof input === "string" ? input : input instanceof URL ? input.href : input.url;
    const { status, body } = this.answer(init?.method ?? "GET", href, typeof init?.body === "string" ? JSON.parse(init.body) : undefined);
    return new Response(status === 204 ? null : JSON.stringify(body), { status, headers: { "content-type": status >= 400 ? "application/problem+json" : "application/json" } });
  };
}
