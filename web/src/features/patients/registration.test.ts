import { describe, expect, it } from "vitest";
import type { Patient } from "@/api/types";
import { changedPatient, draftOf, emptyDraft, faultsOf, ID_CARD_ISSUER, newPatientOf, readDate, withIdCard } from "./registration";

const card = "11010519491231002X";

describe("registration", () => {
  it("fills birth date and sex from a whole card and leaves them alone before", () => {
    expect(withIdCard(emptyDraft, card)).toMatchObject({ id_card: card, birth_date: "1949-12-31", sex: "F" });
    expect(withIdCard({ ...emptyDraft, sex: "M" }, "1101051949")).toMatchObject({ birth_date: "", sex: "M" });
  });
  it("reads dates as clerks type them", () => {
    expect(["19790412", "1979.4.12", "1979/04/12", "1979年4月12日", "1979-04-12"].map(readDate)).toEqual(Array(5).fill("1979-04-12"));
    expect(readDate("soon")).toBe("soon");
  });
  it("finds what is wrong", () => {
    expect(faultsOf(emptyDraft)).toEqual({ name: "name.required" });
    expect(faultsOf({ ...emptyDraft, unidentified: true })).toEqual({});
    expect(faultsOf({ ...emptyDraft, name: "张三", id_card: card.replace("X", "1"), birth_date: "20301301", phone: "abc" }, "2026-11-24")).toEqual({
      id_card: "id_card.checksum",
      birth_date: "birth_date.invalid",
      phone: "phone.invalid",
    });
  });
  it("makes the request", () => {
    expect(newPatientOf({ ...withIdCard(emptyDraft, card), name: " 张三 ", other_value: "Z77" })).toMatchObject({
      name: "张三",
      birth_date: "1949-12-31",
      phone: null,
      identifiers: [
        { issuer: ID_CARD_ISSUER, kind: "id_card", value: card },
        { issuer: "2.16.156.10011.1.11", kind: "outpatient", value: "Z77" },
      ],
    });
  });
  it("keeps identifiers that the form does not show, and issuers of other houses", () => {
    const patient: Patient = {
      id: "1", name: "张三", name_latin: "Zhang San", sex: "M", birth_date: null, mrn: "M1", phone: null, address: null, alerts: [], temporary: false, version: 4, created_at: "",
      identifiers: [
        { issuer: "OTHER", kind: "mrn", value: "M1" },
        { issuer: "TMP", kind: "temporary", value: "T1" },
        { issuer: "X", kind: "outpatient", value: "O1" },
      ],
    };
    const changed = changedPatient(patient, { ...draftOf(patient), phone: "13800138000" });
    expect(changed.version).toBe(4);
    expect(changed.name_latin).toBe("Zhang San");
    expect(changed.identifiers).toContainEqual({ issuer: "OTHER", kind: "mrn", value: "M1" });
    expect(changed.identifiers).toContainEqual({ issuer: "TMP", kind: "temporary", value: "T1" });
    expect(changed.identifiers).toContainEqual({ issuer: "X", kind: "outpatient", value: "O1" });
    expect(changed.identifiers).toHaveLength(3);
    expect(changedPatient(patient, { ...draftOf(patient), name: "李四" }).name_latin).toBeNull();
  });
});
