// How values, times, counts and sizes are written for people. Everything here
// is a pure function of its arguments; "now" comes from the caller.

import type { Value } from "./api/types";

/** What a missing value looks like. */
export const NONE = "–";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/**
 * A number with the given decimals, or with as many as its size makes
 * sensible: 4 significant digits, no trailing zeros.
 */
export function formatNumber(n: number, decimals?: number): string {
  if (!Number.isFinite(n)) return NONE;
  if (decimals !== undefined) return grouped(n, decimals, decimals);
  const size = Math.abs(n);
  if (size !== 0 && (size < 1e-4 || size >= 1e12)) return n.toExponential(3);
  const fraction = size >= 1000 ? (Number.isInteger(n) ? 0 : 1) : size >= 100 ? 1 : size >= 10 ? 2 : size >= 1 ? 3 : 5;
  return grouped(n, 0, fraction);
}

// Making a formatter costs far more than using it, and a wall of charts uses
// it thousands of times a second.
const formatters = new Map<number, Intl.NumberFormat>();

function grouped(n: number, least: number, most: number): string {
  const key = least * 32 + most;
  let f = formatters.get(key);
  if (!f) {
    f = new Intl.NumberFormat("en-US", { minimumFractionDigits: least, maximumFractionDigits: most });
    formatters.set(key, f);
  }
  return f
    .format(n)
    .replace(/^-(?=[0.]*$)/, "") // no "-0.0"
    .replace("-", "−");
}

/** A reading's value without its unit. */
export function formatValue(v: Value | undefined, decimals?: number): string {
  if (v === undefined || v === null) return NONE;
  if (typeof v === "number") return formatNumber(v, decimals);
  if (typeof v === "boolean") return v ? "yes" : "no";
  return v;
}

/** Units that stand directly at the number. */
export function unitGap(unit: string): string {
  return unit === "" || unit === "%" || unit === "°" ? "" : "\u202f";
}

/** A value with its unit, in one string. */
export function withUnit(v: Value | undefined, unit = "", decimals?: number): string {
  const text = formatValue(v, decimals);
  return unit && text !== NONE ? text + unitGap(unit) + unit : text;
}

/** "temperature" from "env.air_temperature": a metric's name made readable where no profile gives a label. */
export function metricLabel(metric: string): string {
  const words = metric.replace(/[._]+/g, " ").replace(/([a-z])([A-Z])/g, "$1 $2").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** "just now", "12 s ago", "3 min ago", "5 h ago", "4 d ago", or the date for anything older than a month. */
export function relativeTime(then: number, now: number): string {
  const age = now - then;
  if (age < -MINUTE) return `in ${duration(-age)}`;
  if (age < 1500) return "just now";
  if (age >= 31 * DAY) return new Date(then).toLocaleDateString("en-CA");
  return `${duration(age)} ago`;
}

/** The largest whole unit of a span: "12 s", "3 min", "5 h", "4 d". */
export function duration(ms: number): string {
  if (ms < MINUTE) return `${Math.max(0, Math.floor(ms / 1000))} s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`;
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`;
  return `${Math.floor(ms / DAY)} d`;
}

/** A span of milliseconds with the precision that latencies need: "0.42 ms", "4.2 ms", "120 ms", "1.2 s". */
export function latency(ms: number | undefined): string {
  if (ms === undefined || !Number.isFinite(ms)) return NONE;
  if (ms >= 10_000) return `${Math.round(ms / 1000)} s`;
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 1 ? ms.toFixed(2) : ms < 20 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** A count in full up to 99,999, then "123k", "1.23M". */
export function count(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return NONE;
  if (Math.abs(n) < 100_000) return grouped(n, 0, Number.isInteger(n) ? 0 : 1);
  for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (Math.abs(n) >= size) return `${Number((n / size).toPrecision(3))}${letter}`;
  }
  return NONE;
}

/** A rate per second: one decimal below 100. */
export function rate(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return NONE;
  return n < 100 ? grouped(n, n > 0 && n < 10 ? 1 : 0, 1) : count(Math.round(n));
}

/** A size in bytes with binary units. */
export function bytes(n: number | undefined): string {
  if (n === undefined || !Number.isFinite(n)) return NONE;
  let size = n;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (size < 1024) return `${unit === "B" ? size : size.toPrecision(3)} ${unit}`;
    size /= 1024;
  }
  return `${size.toPrecision(3)} TiB`;
}

/** Local date and time to the second: "2026-11-22 20:40:09". */
export function dateTime(ms: number): string {
  const d = new Date(ms);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
}

/** Milliseconds of a metadata time, undefined when it is empty. */
export function parseTime(s: string | undefined): number | undefined {
  const ms = s ? Date.parse(s) : NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
