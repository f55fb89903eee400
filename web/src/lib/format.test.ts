import { describe, expect, it } from "vitest";
import { bytes, count, duration, formatNumber, formatValue, latency, metricLabel, parseTime, rate, relativeTime, withUnit } from "./format";

describe("numbers", () => {
  it.each([
    [21.5, 2, "21.50"],
    [21.5, undefined, "21.5"],
    [1234.56, 1, "1,234.6"],
    [12804, undefined, "12,804"],
    [-3.25, 1, "−3.3"],
    [-0.04, 1, "0.0"],
    [0.000012, undefined, "1.200e-5"],
    [0, undefined, "0"],
    [NaN, 1, "–"],
  ])("%s with %s decimals reads %s", (n, decimals, want) => {
    expect(formatNumber(n, decimals)).toBe(want);
  });

  it("a percent sign stands at its number, other units have a gap", () => {
    expect([withUnit(45.12, "%", 1), withUnit(21.5, "°C", 2)]).toEqual(["45.1%", "21.50\u202f°C"]);
  });

  it("a missing value has no unit", () => {
    expect(withUnit(undefined, "°C")).toBe("–");
  });

  it("booleans are words, texts stay as they are", () => {
    expect([formatValue(true), formatValue(false), formatValue("open")]).toEqual(["yes", "no", "open"]);
  });
});

describe("counts, rates, sizes, latencies", () => {
  it.each([
    [count(99_999), "99,999"],
    [count(123_456), "123k"],
    [count(8_123_901), "8.12M"],
    [rate(0), "0"],
    [rate(9.6), "9.6"],
    [rate(1234.4), "1,234"],
    [bytes(512), "512 B"],
    [bytes(48_123_904), "45.9 MiB"],
    [latency(0.42), "0.42 ms"],
    [latency(4.21), "4.2 ms"],
    [latency(138.4), "138 ms"],
    [latency(1234), "1.2 s"],
    [latency(undefined), "–"],
  ])("%s is %s", (got, want) => {
    expect(got).toBe(want);
  });
});

describe("times", () => {
  const now = Date.UTC(2026, 10, 22, 20, 0, 0);

  it.each([
    [900, "just now"],
    [12_000, "12 s ago"],
    [3 * 60_000, "3 min ago"],
    [5 * 3_600_000, "5 h ago"],
    [47 * 3_600_000, "47 h ago"],
    [4 * 86_400_000, "4 d ago"],
    [-120_000, "in 2 min"],
  ])("%i ms before now is %s", (age, want) => {
    expect(relativeTime(now - age, now)).toBe(want);
  });

  it("a duration names its largest whole unit", () => {
    expect([duration(59_999), duration(60_000), duration(86_400_000)]).toEqual(["59 s", "1 min", "24 h"]);
  });

  it("an empty metadata time is never", () => {
    expect([parseTime(""), parseTime(undefined), parseTime("2026-11-22T20:40:09.123456Z")]).toEqual([undefined, undefined, Date.UTC(2026, 10, 22, 20, 40, 9, 123)]);
  });
});

it("a metric without a label gets one from its name", () => {
  expect([metricLabel("env.air_temperature"), metricLabel("batteryLevel")]).toEqual(["Env air temperature", "Battery Level"]);
});
