import { describe, expect, it } from "vitest";
import { boundsOf, bucketsOf, LIVE, moved, presetOf, PRESETS, queryOfRange, type Range, rangeFromQuery, scaled, stepFor, stepName } from "./range";

const HOUR = 3_600_000;
const NOW = 1_800_000_000_000;

describe("steps", () => {
  it.each([
    [5 * 60_000, 1000, 0],
    [15 * 60_000, 1000, 0],
    [HOUR, 1200, 10_000],
    [24 * HOUR, 700, 300_000],
    [7 * 24 * HOUR, 1200, 1_800_000],
    [30 * 24 * HOUR, 1200, 2 * HOUR],
  ])("a span of %i ms on %i pixels has buckets of %i ms", (span, pixels, want) => {
    expect(stepFor(span, pixels)).toBe(want);
  });

  it("no chart asks for more buckets than half its pixels", () => {
    for (const { span } of PRESETS) {
      for (const pixels of [360, 800, 1400]) {
        const step = stepFor(span, pixels);
        if (step > 0) expect(span / step).toBeLessThanOrEqual(pixels / 2);
      }
    }
  });

  it("a step is written as the API takes it", () => {
    expect([stepName(10_000), stepName(300_000), stepName(24 * HOUR)]).toEqual(["10s", "5m", "1d"]);
    expect(bucketsOf(HOUR)).toEqual({ step: "1h" });
    expect(bucketsOf(24 * HOUR)).toEqual({ step: "1d", tz: Intl.DateTimeFormat().resolvedOptions().timeZone });
  });
});

describe("ranges in addresses", () => {
  it.each<[string, Range]>([
    ["", LIVE],
    ["range=24h", { kind: "last", span: 24 * HOUR }],
    ["last=7200000", { kind: "last", span: 2 * HOUR }],
    ["from=1000&to=9000", { kind: "fixed", from: 1000, to: 9000 }],
  ])("%s is read and written the same", (text, want) => {
    const got = rangeFromQuery(new URLSearchParams(text));
    expect(got).toEqual(want);
    expect(new URLSearchParams(queryOfRange(got)).toString()).toBe(text);
  });

  it.each(["range=nonsense", "from=9000&to=1000", "from=x&to=y", "last=-5"])("%s is the live view", (text) => {
    expect(rangeFromQuery(new URLSearchParams(text))).toEqual(LIVE);
  });

  it("a zoomed range is no preset", () => {
    expect([presetOf(LIVE), presetOf({ kind: "fixed", from: 1, to: 2 })]).toEqual(["5m", undefined]);
  });
});

describe("moving and zooming", () => {
  it("going back from now leaves the live view, and coming back to now joins it", () => {
    const back = moved({ kind: "last", span: HOUR }, -0.5, NOW);
    expect(back).toEqual({ kind: "fixed", from: NOW - 1.5 * HOUR, to: NOW - 0.5 * HOUR });
    expect(moved(back, 0.5, NOW)).toEqual({ kind: "last", span: HOUR });
  });

  it("zooming out never shows the future", () => {
    const got = scaled({ kind: "fixed", from: NOW - 2 * HOUR, to: NOW - 0.1 * HOUR }, 4, NOW);
    expect(boundsOf(got, NOW).to).toBe(NOW);
  });

  it("zooming in keeps the middle", () => {
    expect(scaled({ kind: "fixed", from: 0, to: 100_000 }, 0.5, NOW)).toEqual({ kind: "fixed", from: 25_000, to: 75_000 });
  });
});
