// Labels of axes.

import { formatNumber } from "../format";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

const two = (n: number) => String(n).padStart(2, "0");

/** Labels of times (Unix ms) that are step apart: the time of day, with the date below the first one that is seen (from start on) and where a day begins. */
export function timeLabels(times: readonly number[], step: number, start: number): string[] {
  let before = "";
  return times.map((time) => {
    const d = new Date(time);
    const day = `${MONTHS[d.getMonth()]} ${d.getDate()}`;
    if (step >= DAY) return day;
    if (time < start) return "";
    const label = clockLabel(d, step) + (day === before ? "" : `\n${day}`);
    before = day;
    return label;
  });
}

function clockLabel(d: Date, step: number): string {
  const minutes = `${two(d.getHours())}:${two(d.getMinutes())}`;
  if (step >= MINUTE) return minutes;
  const seconds = `${minutes}:${two(d.getSeconds())}`;
  return step >= 1000 ? seconds : `${seconds}.${Math.floor(d.getMilliseconds() / 100)}`;
}

/** Labels of values that are step apart: all with the decimals that tell them apart, large ones shortened where that leaves them different. */
export function valueLabels(values: readonly number[], step: number): string[] {
  const largest = Math.max(...values.map(Math.abs));
  const [unit, letter] = UNITS.find(([size]) => largest >= 100_000 && largest >= size && step >= size / 100) ?? [1, ""];
  const decimals = Math.min(6, Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9)));
  return values.map((v) => formatNumber(v / unit, decimals) + (v === 0 ? "" : letter));
}

const UNITS = [
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/**
 * The range of the value axis for values between low and high: a tenth of room
 * on both sides, and never so narrow that the last decimal of a sensor fills
 * the height.
 */
export function valueRange(low: number | null, high: number | null, decimals: number | undefined): [number, number] {
  if (low === null || high === null) return [0, 1];
  const least = decimals === undefined ? Math.max(Math.abs(high), 1) * 0.002 : 10 ** -decimals * 10;
  const span = Math.max(high - low, least);
  const middle = (low + high) / 2;
  const bottom = Math.min(low, middle - span / 2) - span * 0.1;
  const top = Math.max(high, middle + span / 2) + span * 0.1;
  return [low >= 0 && bottom < 0 ? 0 : bottom, high <= 0 && top > 0 ? 0 : top];
}
