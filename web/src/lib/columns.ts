// The numbers of one chart: one ascending time column and, for every metric,
// one column of values (every reading) or three (average, least, most of each
// bucket). null means that the metric has no value at that time.

import type { Series, Value } from "./api/types";

type Column = (number | null)[];

export class Columns {
  t: number[] = [];
  values: Column[];
  /** Whether there are three columns for every metric. */
  banded = false;

  constructor(readonly metrics: readonly string[]) {
    this.values = metrics.map(() => []);
  }

  get empty(): boolean {
    return this.t.length === 0;
  }

  /** The columns in the form that the chart takes. */
  table(): [number[], ...Column[]] {
    return [this.t, ...this.values];
  }

  /** Replaces everything by what history answered. */
  load(series: readonly Omit<Series, "unit">[], banded: boolean): void {
    const own = this.metrics.map((m) => series.find((s) => s.metric === m));
    this.banded = banded;
    this.t = unionOfTimes(own.map((s) => s?.t ?? []));
    this.values = own.flatMap((s) => {
      const columns = banded ? [s?.avg, s?.min, s?.max] : [s?.v];
      return columns.map((c) => spread(this.t, s?.t ?? [], (c ?? []) as Column));
    });
  }

  /** Adds one row of every-reading data where its time belongs. Says whether anything was of interest. */
  add(time: number, row: Record<string, Value>): boolean {
    if (this.banded || !this.metrics.some((m) => typeof row[m] === "number")) return false;
    let i = this.t.length;
    while (i > 0 && this.t[i - 1]! > time) i--;
    if (i === 0 || this.t[i - 1] !== time) {
      this.t.splice(i, 0, time);
      for (const column of this.values) column.splice(i, 0, null);
    } else {
      i--;
    }
    this.metrics.forEach((m, k) => {
      const v = row[m];
      if (typeof v === "number") this.values[k]![i] = v;
    });
    return true;
  }

  /** Forgets what is before time, but for one point, so that the line enters from the left edge. */
  trim(time: number): void {
    let n = 0;
    while (n + 1 < this.t.length && this.t[n + 1]! < time) n++;
    if (n < 32) return; // cutting costs a copy, so do it now and then
    this.t.splice(0, n);
    for (const column of this.values) column.splice(0, n);
  }
}

function unionOfTimes(lists: readonly (readonly number[])[]): number[] {
  const first = lists[0] ?? [];
  if (lists.every((l) => l.length === first.length && l.every((t, i) => t === first[i]))) return [...first];
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}

function spread(all: readonly number[], t: readonly number[], column: Column): Column {
  if (all.length === t.length) return [...column];
  const at = new Map(t.map((time, i) => [time, i]));
  return all.map((time) => {
    const i = at.get(time);
    return i === undefined ? null : (column[i] ?? null);
  });
}

/** A pause between readings that is longer than this is drawn as a gap: five times the usual distance, at least least. */
export function gapAfter(t: readonly number[], least: number): number {
  const distances: number[] = [];
  const stride = Math.max(1, Math.floor(t.length / 64));
  for (let i = stride; i < t.length; i += stride) distances.push(t[i]! - t[i - 1]!);
  distances.sort((a, b) => a - b);
  return Math.max(least, 5 * (distances[Math.floor(distances.length / 2)] ?? 0));
}
