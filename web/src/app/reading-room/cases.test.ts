import { describe, expect, it, vi } from "vitest";
import type { ReadingRow, Study } from "@/api/types";
import { pickNext, seriesOf } from "./cases";

vi.mock("@/viewer", () => ({}));

const row = (id: string, state: string, locked: string | null = null): ReadingRow =>
  ({ order_id: id, state, locked_by: locked }) as ReadingRow;

describe("next case", () => {
  it("is the first free one that the reader may work on", () => {
    const rows = [row("1", "completed", "X"), row("2", "reported"), row("3", "imaged"), row("4", "audited")];
    expect(pickNext(rows, "9", { draft: true, audit: true })?.order_id).toBe("2");
    expect(pickNext(rows, "9", { draft: true, audit: false })?.order_id).toBe("3");
    expect(pickNext(rows, "3", { draft: true, audit: false })).toBeNull();
    expect(pickNext(rows, "9", { draft: false, audit: false })).toBeNull();
    const back = { ...row("5", "reported"), report_stage: "rejected" };
    expect(pickNext([back], "9", { draft: false, audit: true })).toBeNull();
    expect(pickNext([back], "9", { draft: true, audit: false })?.order_id).toBe("5");
  });
});

describe("series of a study", () => {
  it("are pictures only, in the order of their numbers", () => {
    const study = {
      study_uid: "1",
      series: [
        { series_uid: "b", number: 3, modality: "CT", description: "", body_part: "", images: 5 },
        { series_uid: "r", number: 1, modality: "DOC", description: "", body_part: "", images: 1 },
        { series_uid: "a", number: 2, modality: "CT", description: "", body_part: "", images: 5 },
        { series_uid: "n", number: null, modality: "CT", description: "", body_part: "", images: 5 },
        { series_uid: "e", number: 4, modality: "CT", description: "", body_part: "", images: 0 },
      ],
    } as unknown as Study;
    expect(seriesOf(study).map(({ seriesUid }) => seriesUid)).toEqual(["a", "b", "n"]);
  });
});
