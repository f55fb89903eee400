// A feed is one subscription of the page's socket with everyone who listens to
// it. It gathers frames and hands them on when it is told to flush, so that a
// thousand frames a second become a few updates of the page.

import type { Value } from "../api/types";
import type { DeviceState, Frame, Row, Spec } from "./protocol";

/** Someone who listens. Calls come in the order of the frames, at flushes only. */
export interface Sink {
  /** Rows to merge by device, metric and time. Hearing a row twice must do no harm. */
  rows(rows: readonly Row[]): void;
  device?(state: DeviceState): void;
  /** There may be a gap before what follows: what was drawn from history is to be asked for again. */
  reset?(): void;
}

/** A feed holds at most this many rows between two flushes; reaching it asks for a flush at once. */
export const MAX_PENDING = 5000;

export interface Latest {
  t: number;
  v: Value;
}

export class Feed {
  readonly key: string;
  private readonly sinks = new Set<Sink>();
  private readonly latest = new Map<string, Map<string, Latest>>();
  private readonly states = new Map<string, DeviceState>();
  private pendingRows: Row[] = [];
  private pendingStates: DeviceState[] = [];
  private pendingReset = false;
  private seq: number | undefined;

  constructor(
    readonly id: string,
    readonly spec: Spec,
  ) {
    this.key = keyOf(spec);
  }

  get idle(): boolean {
    return this.sinks.size === 0;
  }

  get full(): boolean {
    return this.pendingRows.length >= MAX_PENDING;
  }

  /** The message that starts this feed, or resumes it after the last commit that was heard of. */
  subscribeMessage(): Record<string, unknown> {
    const message: Record<string, unknown> = { op: "subscribe", id: this.id, devices: this.spec.devices };
    if (this.spec.metrics) message["metrics"] = this.spec.metrics;
    if (this.seq !== undefined) message["since"] = this.seq;
    return message;
  }

  /** Adds a listener, who first hears all that the others know. */
  add(sink: Sink): void {
    this.sinks.add(sink);
    for (const state of this.states.values()) sink.device?.(state);
    const rows = this.known();
    if (rows.length > 0) sink.rows(rows);
  }

  remove(sink: Sink): void {
    this.sinks.delete(sink);
  }

  /** Takes a frame of this feed in. */
  take(frame: Frame): void {
    switch (frame.op) {
      case "snapshot":
        this.advance(frame.seq);
        this.pendingStates.push(...(frame.devices ?? []));
        this.pendingRows.push(...(frame.rows ?? []));
        return;
      case "readings":
        this.advance(frame.seq);
        this.pendingRows.push(...frame.rows);
        return;
      case "device":
        this.pendingStates.push(frame.device);
        return;
      case "reset":
        this.seq = undefined;
        this.pendingReset = true;
    }
  }

  /** Hands everything that was gathered to the listeners. */
  flush(): void {
    const [rows, states, reset] = [this.pendingRows, this.pendingStates, this.pendingReset];
    this.pendingRows = [];
    this.pendingStates = [];
    this.pendingReset = false;
    for (const state of states) this.rememberState(state);
    for (const row of rows) this.rememberRow(row);
    for (const sink of this.sinks) {
      if (reset) sink.reset?.();
      if (sink.device) states.forEach((s) => sink.device!(s));
      if (rows.length > 0) sink.rows(rows);
    }
  }

  private advance(seq: number): void {
    if (this.seq === undefined || seq > this.seq) this.seq = seq;
  }

  private rememberState(state: DeviceState): void {
    if (state.removed) {
      this.states.delete(state.id);
      this.latest.delete(state.id);
    } else {
      this.states.set(state.id, state);
    }
  }

  private rememberRow(row: Row): void {
    let metrics = this.latest.get(row.device);
    if (!metrics) this.latest.set(row.device, (metrics = new Map()));
    for (const metric in row.values) {
      const before = metrics.get(metric);
      if (!before || row.t >= before.t) metrics.set(metric, { t: row.t, v: row.values[metric]! });
    }
  }

  private known(): Row[] {
    const rows: Row[] = [];
    for (const [device, metrics] of this.latest) {
      for (const [metric, { t, v }] of metrics) rows.push({ device, t, values: { [metric]: v } });
    }
    return rows;
  }
}

/** Equal for specs that ask for the same thing. */
export function keyOf(spec: Spec): string {
  const sorted = (list?: readonly string[]) => (list ? [...list].sort() : null);
  return JSON.stringify([sorted(spec.devices), sorted(spec.metrics)]);
}
