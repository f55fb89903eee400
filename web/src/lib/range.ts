// Time ranges of charts: how they are named, which step suits them, and how
// they are kept in the address of a page.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A range is either "the last span until now" or two fixed times (Unix ms). */
export type Range = { kind: "last"; span: number } | { kind: "fixed"; from: number; to: number };

export interface Preset {
  key: string;
  label: string;
  name: string;
  span: number;
}

/** The presets; the first is the live view. */
export const PRESETS: readonly Preset[] = [
  { key: "5m", label: "Live 5 min", name: "the last 5 minutes, live", span: 5 * MINUTE },
  { key: "1h", label: "1 h", name: "the last hour", span: HOUR },
  { key: "24h", label: "24 h", name: "the last 24 hours", span: DAY },
  { key: "7d", label: "7 d", name: "the last 7 days", span: 7 * DAY },
  { key: "30d", label: "30 d", name: "the last 30 days", span: 30 * DAY },
];

export const LIVE: Range = { kind: "last", span: 5 * MINUTE };

/** Spans up to this show every reading as it comes; longer ones show buckets. */
const RAW_SPAN = 15 * MINUTE;

/** The shortest range that zooming leads to. */
export const MIN_SPAN = 2 * SECOND;

const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 2 * 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600, 7 * 24 * 3600, 30 * 24 * 3600,
].map((s) => s * SECOND);

/** The width of buckets for a span on a chart of the given width: at most one per two pixels; 0 means every reading. */
export function stepFor(span: number, pixels: number): number {
  if (span <= RAW_SPAN) return 0;
  const buckets = Math.min(600, Math.max(60, Math.floor(pixels / 2)));
  return STEPS.find((s) => span / s <= buckets) ?? STEPS[STEPS.length - 1]!;
}

/** A step as the API takes it: "10s", "5m", "1h", "1d". */
export function stepName(step: number): string {
  if (step % DAY === 0) return `${step / DAY}d`;
  if (step % HOUR === 0) return `${step / HOUR}h`;
  if (step % MINUTE === 0) return `${step / MINUTE}m`;
  return `${step / SECOND}s`;
}

/** The question for buckets of a step; days are those of the browser's time zone. */
export function bucketsOf(step: number): { step: string; tz?: string } {
  const name = stepName(step);
  return step < DAY ? { step: name } : { step: name, tz: Intl.DateTimeFormat().resolvedOptions().timeZone };
}

/** A step for people: "10 s", "5 min", "1 h", "1 d". */
export function stepLabel(step: number): string {
  if (step % DAY === 0) return `${step / DAY} d`;
  if (step % HOUR === 0) return `${step / HOUR} h`;
  if (step % MINUTE === 0) return `${step / MINUTE} min`;
  return `${step / SECOND} s`;
}

export function spanOf(r: Range): number {
  return r.kind === "last" ? r.span : r.to - r.from;
}

export function boundsOf(r: Range, now: number): { from: number; to: number } {
  return r.kind === "last" ? { from: now - r.span, to: now } : { from: r.from, to: r.to };
}

/** The same range seen through another window: moved by a share of its span. */
export function moved(r: Range, share: number, now: number): Range {
  const { from, to } = boundsOf(r, now);
  const by = (to - from) * share;
  return to + by >= now ? { kind: "last", span: to - from } : { kind: "fixed", from: from + by, to: to + by };
}

/** A range twice as long (factor 2) or half as long (factor 0.5) around the same middle, never beyond now. */
export function scaled(r: Range, factor: number, now: number): Range {
  const { from, to } = boundsOf(r, now);
  const span = Math.max(MIN_SPAN, (to - from) * factor);
  if (r.kind === "last") return { kind: "last", span };
  const end = Math.min(now, (from + to) / 2 + span / 2);
  return { kind: "fixed", from: end - span, to: end };
}

/** Reads a range from a page's query; anything unknown is the live view. */
export function rangeFromQuery(q: URLSearchParams): Range {
  const preset = PRESETS.find((p) => p.key === q.get("range"));
  if (preset) return { kind: "last", span: preset.span };
  const last = Number(q.get("last"));
  if (last >= MIN_SPAN) return { kind: "last", span: last };
  const from = Number(q.get("from"));
  const to = Number(q.get("to"));
  return from > 0 && to > from ? { kind: "fixed", from, to } : LIVE;
}

/** The query of a range; the live view has none. */
export function queryOfRange(r: Range): Record<string, string> {
  if (r.kind === "fixed") return { from: String(Math.round(r.from)), to: String(Math.round(r.to)) };
  if (r.span === PRESETS[0]!.span) return {};
  const preset = PRESETS.find((p) => p.span === r.span);
  return preset ? { range: preset.key } : { last: String(Math.round(r.span)) };
}

/** The key of the preset that r is, or undefined. */
export function presetOf(r: Range): string | undefined {
  return r.kind === "last" ? PRESETS.find((p) => p.span === r.span)?.key : undefined;
}
