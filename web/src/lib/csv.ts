// The numbers that charts show, as comma-separated values.

import type { Columns } from "./columns";
import type { Group } from "./metrics";

const cell = (text: string) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** One line per time (RFC 3339, UTC), one column per metric, or three where buckets are shown. */
export function csvOf(charts: readonly { group: Group; columns: Columns }[]): string {
  const header = ["time"];
  const rows = new Map<number, string[]>();
  for (const { group, columns } of charts) {
    const offset = header.length;
    header.push(...headerOf(group, columns.banded));
    columns.t.forEach((time, i) => {
      const row = rows.get(time) ?? [];
      columns.values.forEach((column, k) => (row[offset - 1 + k] = column[i] == null ? "" : String(column[i])));
      rows.set(time, row);
    });
  }
  const width = header.length - 1;
  const lines = [...rows]
    .sort(([a], [b]) => a - b)
    .map(([time, row]) => [new Date(time).toISOString(), ...Array.from({ length: width }, (_, i) => row[i] ?? "")].join(","));
  return [header.map(cell).join(","), ...lines, ""].join("\r\n");
}

function headerOf(group: Group, banded: boolean): string[] {
  return group.metrics.flatMap((m) => {
    const name = m.unit ? `${m.metric} (${m.unit})` : m.metric;
    return banded ? [`${name} avg`, `${name} min`, `${name} max`] : [name];
  });
}
