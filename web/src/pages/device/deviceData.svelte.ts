// Everything that the page of one device shows. What is drawn from history is
// kept current by the socket while the range is the live one, and asked for
// again when the socket says that there may be a gap.

import { messageOf, Problem } from "../../lib/api/client";
import { devices as api, profiles as profilesApi } from "../../lib/api/devices";
import type { ConnectionEvents, Device, DeviceMetric, Ledger, Profile, Series, Value } from "../../lib/api/types";
import { Columns } from "../../lib/columns";
import type { DeviceState, Row } from "../../lib/live.svelte";
import { groupByUnit, type Group, metricView, type MetricView, sortMetrics } from "../../lib/metrics";
import { poll } from "../../lib/poll";
import { presenceOf, presenceOfState, type PresenceState } from "../../lib/presence";
import { boundsOf, bucketsOf, type Range, spanOf, stepFor } from "../../lib/range";
import { live } from "../../lib/session.svelte";
import { States } from "../../lib/states";

const FOLLOW_EVERY = 15_000; // ledger and connection events
const RECENT_MOST = 3000; // rows kept to be laid over an answer of history that was on its way

export interface ChartModel {
  group: Group;
  columns: Columns;
}

export interface StripModel {
  metric: MetricView;
  states: States;
}

export class DeviceData {
  device = $state.raw<Device>();
  presence = $state.raw<PresenceState>({ online: false, reason: "", since: undefined });
  profiles = $state.raw<Profile[]>([]);
  profile = $derived(this.profiles.find((p) => p.name === this.device?.profile));
  metrics = $state.raw<MetricView[]>([]);
  charts = $state.raw<ChartModel[]>([]);
  strips = $state.raw<StripModel[]>([]);
  ledger = $state.raw<Ledger>();
  events = $state.raw<ConnectionEvents>();
  /** The server's sentence about the connection; empty while it is out of date. */
  explanation = $state("");
  missing = $state(false);
  error = $state("");
  historyError = $state("");
  ledgerError = $state("");
  eventsError = $state("");
  loading = $state(true);
  drawing = $state(true);
  /** Changes whenever values, charts' columns or strips' states change in place. */
  version = $state(0);
  /** Width of the buckets that are drawn, 0 for every reading. */
  step = $state(0);
  /** Server's clock minus ours, ms. */
  skew = $state(0);

  readonly latest = new Map<string, { t: number; v: Value }>();
  private recent: Row[] = [];
  private range: Range = { kind: "last", span: 5 * 60_000 };
  private pixels = 1000;
  private asking: AbortController | undefined;
  private askingEvents: AbortController | undefined;
  private redraw: ReturnType<typeof setTimeout> | undefined;
  private stops: (() => void)[] = [];
  private metricsWanted = false;
  private closed = false;

  constructor(readonly id: string) {}

  open(): () => void {
    const sink = {
      rows: (rows: readonly Row[]) => this.take(rows),
      device: (state: DeviceState) => this.setState(state),
      reset: () => this.again(),
    };
    this.stops.push(live.subscribe({ devices: [this.id] }, sink));
    void this.begin();
    return () => {
      this.closed = true;
      this.asking?.abort();
      this.askingEvents?.abort();
      clearTimeout(this.redraw);
      this.stops.forEach((stop) => stop());
    };
  }

  /** Reads device, profiles and metrics, then draws. */
  async begin(): Promise<void> {
    this.loading = true;
    this.error = "";
    try {
      const [device, profiles] = await Promise.all([api.one(this.id), profilesApi.list().catch(() => ({ items: [] }))]);
      this.profiles = profiles.items;
      this.setDevice(device);
      await this.readMetrics();
      this.follow(() => this.readLedger());
      this.follow(() => this.readEvents());
    } catch (error) {
      this.missing = error instanceof Problem && error.status === 404;
      this.error = messageOf(error);
    }
    this.loading = false;
  }

  setDevice(device: Device): void {
    this.device = device;
    this.presence = presenceOf(device);
    this.explanation = device.explanation ?? "";
  }

  /** Changes what is known of metrics when the profile changed. */
  async readMetrics(): Promise<void> {
    const { items } = await api.metrics(this.id);
    const views = items.filter((m) => m.v !== undefined).map((m) => this.viewOf(m));
    items.forEach((m) => m.v !== undefined && this.remember(m.metric, m.t ?? 0, m.v));
    this.metrics = sortMetrics(views, this.profile);
    this.charts = groupByUnit(this.metrics).map((group) => ({ group, columns: new Columns(group.metrics.map((m) => m.metric)) }));
    this.strips = this.metrics.filter((m) => m.kind !== "number").map((metric) => ({ metric, states: new States() }));
    await this.draw();
  }

  /** Shows another range on a page of the given width. */
  async show(range: Range, pixels: number): Promise<void> {
    this.range = range;
    this.pixels = pixels;
    if (!this.loading) await this.draw();
  }

  /** Reads now and then every few seconds. */
  private follow(read: () => Promise<void>): void {
    if (!this.closed) this.stops.push(poll(FOLLOW_EVERY, read));
  }

  private async readLedger(): Promise<void> {
    try {
      this.ledger = await api.drops(this.id);
      this.ledgerError = "";
    } catch (error) {
      this.ledgerError = messageOf(error);
    }
  }

  private async readEvents(): Promise<void> {
    this.askingEvents?.abort();
    const asking = (this.askingEvents = new AbortController());
    try {
      this.events = await api.events(this.id, asking.signal);
      this.explanation = this.events.explanation;
      this.eventsError = "";
    } catch (error) {
      if (!asking.signal.aborted) this.eventsError = messageOf(error);
    }
  }

  private take(rows: readonly Row[]): void {
    let stranger = false;
    for (const row of rows) {
      if (row.device !== this.id) continue;
      this.recent.push(row);
      this.lay(row);
      for (const metric in row.values) {
        if (!this.latest.has(metric)) stranger = true;
        this.remember(metric, row.t, row.values[metric]!);
      }
    }
    if (this.recent.length > RECENT_MOST) this.recent.splice(0, this.recent.length - RECENT_MOST / 2);
    this.trim();
    this.version++;
    if (stranger && !this.loading) void this.meetMetrics();
  }

  private setState(state: DeviceState): void {
    if (state.id !== this.id) return;
    if (state.removed) {
      this.missing = true;
      return;
    }
    this.presence = presenceOfState(state);
    this.explanation = ""; // it tells about the state before
    if (this.events) void this.readEvents();
  }

  private again(): void {
    if (!this.loading) void this.draw();
  }

  now(): number {
    return Math.round(Date.now() + this.skew); // whole, or the axis places its labels a millisecond early
  }

  private viewOf(m: DeviceMetric): MetricView {
    return metricView(m.metric, { ...this.profile?.metrics?.[m.metric], ...m }, m.v);
  }

  private remember(metric: string, t: number, v: Value): void {
    const before = this.latest.get(metric);
    if (!before || t >= before.t) this.latest.set(metric, { t, v });
  }

  // A metric that nobody knew of: ask what it is. One question for many rows.
  private async meetMetrics(): Promise<void> {
    if (this.metricsWanted) return;
    this.metricsWanted = true;
    try {
      await this.readMetrics();
    } catch (error) {
      this.historyError = messageOf(error);
    } finally {
      this.metricsWanted = false;
    }
  }

  private async draw(): Promise<void> {
    this.asking?.abort();
    clearTimeout(this.redraw);
    const asking = (this.asking = new AbortController());
    const { range } = this;
    this.drawing = true;
    try {
      const step = stepFor(spanOf(range), this.pixels);
      const [numbers, states] = await Promise.all([this.askNumbers(range, step, asking.signal), this.askStates(range, step, asking.signal)]);
      if (asking.signal.aborted) return;
      this.fill(step, numbers, states);
      this.historyError = "";
    } catch (error) {
      if (asking.signal.aborted) return;
      this.historyError = messageOf(error);
    }
    this.drawing = false;
    this.planRedraw();
  }

  // A range that ends now grows by buckets, which the socket does not bring.
  private planRedraw(): void {
    if (this.range.kind !== "last" || (this.step === 0 && !this.historyError)) return;
    const wait = Math.min(60_000, Math.max(5000, this.step));
    this.redraw = setTimeout(() => (document.hidden ? this.planRedraw() : void this.draw()), wait);
  }

  private async askNumbers(range: Range, step: number, signal: AbortSignal): Promise<Series[]> {
    const metric = this.metrics.filter((m) => m.kind === "number").map((m) => m.metric);
    if (metric.length === 0) return [];
    const window = this.windowOf(range);
    const query = step > 0 ? { ...bucketsOf(step), agg: "avg,min,max" } : { points: 2000 };
    const history = await api.history(this.id, { metric, ...window, ...query }, signal);
    if (range.kind === "last" && history.to > 0) this.skew = history.to - Date.now();
    return history.series;
  }

  // A bucket of states is drawn as the last one in it.
  private async askStates(range: Range, step: number, signal: AbortSignal): Promise<Series[]> {
    const metric = this.metrics.filter((m) => m.kind !== "number").map((m) => m.metric);
    if (metric.length === 0) return [];
    const query = step > 0 ? { ...bucketsOf(step), agg: "last" } : {};
    const history = await api.history(this.id, { metric, ...this.windowOf(range), ...query }, signal);
    return history.series;
  }

  private windowOf(range: Range): { from: number | string; to: number | string } {
    if (range.kind === "last") return { from: `-${Math.ceil(range.span / 1000)}s`, to: "now" };
    const { from, to } = boundsOf(range, this.now());
    return { from: Math.round(from), to: Math.round(to) };
  }

  private fill(step: number, numbers: readonly Series[], states: readonly Series[]): void {
    this.step = step;
    for (const { columns } of this.charts) columns.load(numbers, step > 0);
    for (const strip of this.strips) {
      const series = states.find((s) => s.metric === strip.metric.metric);
      strip.states.load(series?.t ?? [], series?.last ?? series?.v ?? []);
    }
    for (const row of this.recent) this.lay(row);
    this.version++;
  }

  /** Adds a live row to what is drawn, where every reading is drawn. */
  private lay(row: Row): void {
    if (this.range.kind !== "last") return;
    for (const { columns } of this.charts) columns.add(row.t, row.values);
    for (const { metric, states } of this.strips) {
      const v = row.values[metric.metric];
      if (v !== undefined) states.add(row.t, v);
    }
  }

  private trim(): void {
    if (this.range.kind !== "last" || this.step > 0) return;
    const oldest = this.now() - this.range.span;
    for (const { columns } of this.charts) columns.trim(oldest);
    for (const { states } of this.strips) states.trim(oldest);
  }
}
