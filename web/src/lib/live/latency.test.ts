import { describe, expect, it } from "vitest";
import { backoff } from "./backoff";
import { LatencyMeter } from "./latency";

describe("the latency of a page", () => {
  // The server's clock is five seconds ahead; the way takes 2 ms, once 10 ms.
  const AHEAD = 5000;
  const T = 1_800_000_000_000;

  function meterOf(...ways: number[]): LatencyMeter {
    const meter = new LatencyMeter();
    meter.restart(T - 10_000);
    meter.roundTrip(4);
    ways.forEach((way, i) => {
      const sent = T + i * 100;
      meter.frame(sent - 1 + AHEAD, sent + AHEAD, sent + way); // 1 ms inside the server
    });
    return meter;
  }

  it("does not depend on the difference of the clocks", () => {
    const got = meterOf(2, 2, 2, 2).percentile(0.99);
    expect(got).toBeCloseTo(3, 3);
  });

  it("shows a slow frame in the high percentiles only", () => {
    const meter = meterOf(2, 2, 2, 2, 2, 2, 2, 2, 2, 10);
    expect(meter.percentile(0.5)).toBeCloseTo(3, 3);
    expect(meter.percentile(0.99)).toBeCloseTo(11, 3);
  });

  it("is unknown before the first reading, and while the page settles", () => {
    const meter = new LatencyMeter();
    meter.restart(T);
    meter.frame(T, T, T + 900);
    expect(meter.percentile(0.5)).toBeUndefined();
  });
});

describe("attempts after a loss", () => {
  it("wait twice as long each time, up to 15 s", () => {
    expect([0, 1, 2, 3, 9, 50].map((n) => backoff(n, 1))).toEqual([500, 1000, 2000, 4000, 15_000, 15_000]);
  });

  it("are spread by random between half and all of the time", () => {
    expect([backoff(3, 0), backoff(3, 0.5)]).toEqual([2000, 3000]);
  });
});
