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

/**
 * The pauses of a column between two indexes, as pairs of indexes: longer than
 * least, and five times as long as the distances before and after them, so
 * that a device that reads every minute has no gaps beside one that reads
 * every second. A null is no pause: it only says that another metric was read
 * at that moment.
 */
export function pauses(t: readonly number[], column: ArrayLike<number | null | undefined>, from: number, to: number, least: number): [number, number][] {
  const read: number[] = [];
  for (let i = from; i <= to; i++) if (column[i] != null) read.push(i);
  const distance = (k: number) => (k < 1 || k >= read.length ? 0 : t[read[k]!]! - t[read[k - 1]!]!);
  const found: [number, number][] = [];
  for (let k = 1; k < read.length; k++) {
    if (distance(k) > Math.max(least, 5 * Math.max(distance(k - 1), distance(k + 1)))) found.push([read[k - 1]!, read[k]!]);
  }
  return found;
}
