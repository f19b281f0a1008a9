// @vitest-environment node
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import texts from "./locales/zh-CN.json";

describe("the audit log", () => {
  it("has a word for every action of the permission table", () => {
    const rows = readFileSync(new URL("../../../../docs/permissions.csv", import.meta.url), "utf8").split("\n");
    const actions = new Set(rows.map((row) => row.split(",")[2] ?? "").filter((action) => /^[a-z_]+\.[a-z_]+$/.test(action)));
    expect(actions.size).toBeGreaterThan(40);
    expect([...actions].filter((action) => !(`audit.action.${action}` in texts))).toEqual([]);
  });
});
