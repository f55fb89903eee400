// What the storage page says about figures of the server.

import type { StorageInfo } from "../../lib/api/types";
import { bytes, count } from "../../lib/format";

export type Table = StorageInfo["tables"][number];
export type Rule = StorageInfo["retention"][number];
export type Removed = StorageInfo["dropped"][number];

/** "November 2026" for a partition of readings, the plain name for other tables. */
export function tableName(table: Table): string {
  if (!table.from) return table.name.replaceAll("_", " ");
  const from = new Date(table.from);
  if (from.getUTCFullYear() < 2000) return "Readings before 2000";
  return `Readings of ${from.toLocaleDateString("en-US", { month: "long", year: "numeric", timeZone: "UTC" })}`;
}

/** Whose readings a rule is about. */
export function ruleName(rule: Rule): string {
  if (rule.metric) return `${rule.profile}: ${rule.metric}`;
  return rule.profile ? `Profile ${rule.profile}` : "Everything else";
}

/** When the disk is full: "in 120 days", or why nobody knows. */
export function fullIn(info: StorageInfo): string {
  if (info.fullInDays !== undefined) {
    const days = Math.floor(info.fullInDays);
    if (days > 3650) return "in 10+ years";
    return days === 1 ? "in 1 day" : `in ${count(days)} days`;
  }
  return info.disk ? "not in sight" : "not known";
}

const WHY: Record<string, string> = {
  age: "older than it is to be kept",
  disk: "the disk was too full",
  late: "came for a time of which only summaries are kept",
};

/** One sentence about what retention removed. */
export function removedText(entry: Removed): string {
  const what = entry.what === "raw" ? "readings (summaries of hours stay)" : "readings";
  return `${count(entry.readings)} ${what}, ${bytes(entry.bytes)}: ${WHY[entry.reason] ?? entry.reason}`;
}

/** "2026-03-01 to 2026-04-01" in UTC, as partitions are cut. */
export function span(from: string, to: string): string {
  return `${from.slice(0, 10)} to ${to.slice(0, 10)}`;
}
