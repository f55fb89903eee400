// Booleans and texts over time.

import type { Value } from "./api/types";

/** A span in which a state did not change. */
export interface Span {
  from: number;
  to: number;
  value: Value;
}

/** Readings of one state metric, ascending in time. */
export class States {
  t: number[] = [];
  v: Value[] = [];

  load(t: readonly number[], v: readonly Value[]): void {
    this.t = [...t];
    this.v = [...v];
  }

  add(time: number, value: Value): void {
    let i = this.t.length;
    while (i > 0 && this.t[i - 1]! > time) i--;
    if (i > 0 && this.t[i - 1] === time) {
      this.v[i - 1] = value;
      return;
    }
    this.t.splice(i, 0, time);
    this.v.splice(i, 0, value);
  }

  /** Forgets what is before time, but for the reading that says the state at time. */
  trim(time: number): void {
    let n = 0;
    while (n + 1 < this.t.length && this.t[n + 1]! < time) n++;
    if (n < 32) return;
    this.t.splice(0, n);
    this.v.splice(0, n);
  }
}

/**
 * The spans between from and to. A state lasts until the next reading, the
 * last one until the end, but never beyond now.
 */
export function spansOf(t: readonly number[], v: readonly Value[], from: number, to: number, now: number): Span[] {
  const end = Math.min(to, now);
  const spans: Span[] = [];
  for (let i = 0; i < t.length; i++) {
    const start = Math.max(from, t[i]!);
    const stop = Math.min(end, t[i + 1] ?? end);
    if (stop <= start) continue;
    const last = spans[spans.length - 1];
    if (last && last.value === v[i] && last.to === start) last.to = stop;
    else spans.push({ from: start, to: stop, value: v[i]! });
  }
  return spans;
}
