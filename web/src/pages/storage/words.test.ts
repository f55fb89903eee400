import { describe, expect, it } from "vitest";
import type { StorageInfo } from "../../lib/api/types";
import { fullIn, removedText, ruleName, tableName } from "./words";

const info = { disk: { total: 10, free: 5, limit: 0.8 } } as StorageInfo;

describe("the words of the storage page", () => {
  it("name a partition by its month and other tables by their name", () => {
    expect(tableName({ name: "chunk_202611", bytes: 1, from: "2026-11-01T00:00:00Z", to: "2026-12-01T00:00:00Z" })).toBe("Readings of November 2026");
    expect(tableName({ name: "chunk_early", bytes: 1, from: "1099-12-31T00:00:00Z" })).toBe("Readings before 2000");
    expect(tableName({ name: "mqtt_queue", bytes: 1 })).toBe("mqtt queue");
  });

  it("say when the disk is full only where that is known", () => {
    expect(fullIn({ ...info, fullInDays: 120.9 })).toBe("in 120 days");
    expect(fullIn({ ...info, fullInDays: 1.2 })).toBe("in 1 day");
    expect(fullIn({ ...info, fullInDays: 1e6 })).toBe("in 10+ years");
    expect(fullIn(info)).toBe("not in sight");
    expect(fullIn({} as StorageInfo)).toBe("not known");
  });

  it("name the rules from the widest to the narrowest", () => {
    const kept = { raw: "90d", hourly: "5y" };
    expect([ruleName(kept), ruleName({ ...kept, profile: "pump" }), ruleName({ ...kept, profile: "pump", metric: "flow" })]).toEqual([
      "Everything else",
      "Profile pump",
      "pump: flow",
    ]);
  });

  it("say what retention removed and why", () => {
    const entry = { time: "", from: "", to: "", series: 1, readings: 12, bytes: 2048, reason: "disk", what: "all" } as const;
    expect(removedText(entry)).toBe("12 readings, 2.00 KiB: the disk was too full");
    expect(removedText({ ...entry, reason: "age", what: "raw" })).toContain("summaries of hours stay");
  });
});
