// One device on the fleet page. Every device is an island of its own: an
// update redraws its row and nothing else.

import type { Device, History, Profile, Value } from "../../lib/api/types";
import { presenceOf, presenceOfState, type PresenceState } from "../../lib/presence";
import { metricView, type MetricView, sortMetrics } from "../../lib/metrics";
import type { DeviceState } from "../../lib/live/protocol";
import { Trace } from "../../lib/spark";

export const SPARK_SPAN = 10 * 60_000;

export interface Cell extends MetricView {
  value: Value;
  trace: Trace | undefined;
}

export class DeviceView {
  device: Device = $state.raw()!;
  presence: PresenceState = $state.raw()!;
  /** Time of the newest reading, Unix ms; 0 before the first. */
  readAt = $state(0);
  /** Changes whenever a value does; values and traces change in place. */
  version = $state(0);

  private readonly values = new Map<string, { t: number; v: Value }>();
  private readonly traces = new Map<string, Trace>();
  private filled = false;

  constructor(device: Device) {
    this.device = device;
    this.presence = presenceOf(device);
  }

  get id(): string {
    return this.device.id;
  }

  /** Whether the course of the last minutes has still to be asked for. Says yes once. */
  wantsCourse(): boolean {
    const wants = !this.filled;
    this.filled = true;
    return wants;
  }

  /** Takes what a list said; a state that the socket told is not made older by it. */
  renew(device: Device): void {
    this.device = device;
    const told = presenceOf(device);
    if ((told.since ?? 0) >= (this.presence.since ?? 0)) this.presence = told;
  }

  setState(state: DeviceState): void {
    this.presence = presenceOfState(state);
  }

  take(t: number, values: Record<string, Value>): void {
    for (const metric in values) {
      const v = values[metric]!;
      const before = this.values.get(metric);
      if (!before || t >= before.t) this.values.set(metric, { t, v });
      if (typeof v === "number") this.trace(metric).add(t, v);
    }
    if (t > this.readAt) this.readAt = t;
    this.version++;
  }

  fill(history: History): void {
    for (const series of history.series) {
      series.t.forEach((t, i) => {
        const v = series.v?.[i];
        if (typeof v === "number") this.trace(series.metric).add(t, v);
      });
    }
    this.version++;
  }

  /** What to show, the most telling metrics first. Depends on version. */
  cells(profile: Profile | undefined): Cell[] {
    const cells = [...this.values].map(([metric, { v }]) => ({
      ...metricView(metric, profile?.metrics?.[metric], v),
      value: v,
      trace: this.traces.get(metric),
    }));
    return sortMetrics(cells, profile);
  }

  private trace(metric: string): Trace {
    let trace = this.traces.get(metric);
    if (!trace) this.traces.set(metric, (trace = new Trace(SPARK_SPAN)));
    return trace;
  }
}
