import { describe, expect, it } from "vitest";
import { timeLabels, valueLabels, valueRange } from "./chart/axis";
import { groupByUnit, metricView } from "./metrics";
import { explained, mark, sentence } from "./presence";
import { snippetsOf, watchCommands } from "./snippets";
import { sparkPath, Trace } from "./spark";
import { spansOf } from "./states";
import { hasTags, parseTag } from "./tags";

const NOW = 1_800_000_000_000;

describe("the sentence about a device", () => {
  it.each([
    [{ online: true, reason: "connected", since: NOW - 180_000 }, "online", "Online for 3 min"],
    [{ online: false, reason: "keepalive timeout", since: NOW - 7_200_000 }, "offline", "Offline for 2 h: keepalive timeout"],
    [{ online: false, reason: "", since: undefined }, "never", "Never connected"],
  ])("%o", (presence, shape, want) => {
    expect([mark(presence), sentence(presence, NOW)]).toEqual([shape, want]);
  });

  it("says that readings came without a connection", () => {
    expect(sentence({ online: false, reason: "", since: undefined }, NOW, true)).toBe("Sends by HTTP, without a connection");
  });

  it("is the server's explanation where there is one", () => {
    const never = { online: false, reason: "", since: undefined };
    const online = { online: true, reason: "connected", since: NOW - 180_000 };
    expect(explained(online, "Online since 12:00 UTC.", NOW)).toBe("Online since 12:00 UTC.");
    expect(explained(online, "", NOW)).toBe("Online for 3 min");
    expect(explained(never, "Never connected.", NOW)).toBe("Never connected.");
    expect(explained(never, "Never connected.", NOW, true)).toBe("Sends by HTTP. Never connected.");
  });
});

describe("charts", () => {
  it("metrics with the same unit share one, a metric without a unit has its own", () => {
    const metric = (name: string, unit?: string) => metricView(name, unit ? { unit } : undefined, 1);
    const groups = groupByUnit([metric("in", "bar"), metric("t", "°C"), metric("out", "bar"), metric("n"), metric("m"), metricView("door", undefined, "open")]);
    expect(groups.map((g) => g.metrics.map((m) => m.metric))).toEqual([["in", "out"], ["t"], ["n"], ["m"]]);
  });

  it("a battery does not flatten the humidity", () => {
    const groups = groupByUnit([metricView("humidity", { unit: "%" }, 45), metricView("battery", { unit: "%" }, 98)]);
    expect(groups.length).toBe(2);
  });

  it("the date stands where a day begins", () => {
    const midnight = new Date(2026, 10, 22).getTime();
    expect(timeLabels([midnight - 3_600_000, midnight, midnight + 3_600_000], 3_600_000, 0)).toEqual(["23:00\nNov 21", "00:00\nNov 22", "01:00"]);
  });

  it("the date stands at the first label that is seen", () => {
    const noon = new Date(2026, 10, 22, 12).getTime();
    expect(timeLabels([noon, noon + 60_000, noon + 120_000], 60_000, noon + 30_000)).toEqual(["", "12:01\nNov 22", "12:02"]);
  });

  it("value labels have the decimals that tell them apart", () => {
    expect(valueLabels([1, 1.05, 1.1], 0.05)).toEqual(["1.00", "1.05", "1.10"]);
    expect(valueLabels([0, 500_000, 1_000_000], 500_000)).toEqual(["0.0", "0.5M", "1.0M"]);
    expect(valueLabels([330_506.8, 330_507], 0.2)).toEqual(["330,506.8", "330,507.0"]);
  });

  it("the noise of the last decimal does not fill the height", () => {
    const [bottom, top] = valueRange(21.5, 21.51, 2);
    expect(top - bottom).toBeGreaterThan(0.1);
  });

  it("the axis of values that are never negative does not go below zero", () => {
    expect(valueRange(0, 100, 0)[0]).toBe(0);
  });
});

describe("states", () => {
  it("last until the next reading, and never beyond now", () => {
    expect(spansOf([0, 10, 20], ["a", "a", "b"], 5, 100, 40)).toEqual([
      { from: 5, to: 20, value: "a" },
      { from: 20, to: 40, value: "b" },
    ]);
  });
});

describe("small lines", () => {
  it("begin with the second reading", () => {
    expect(sparkPath([1], [1], 10, 96, 24)).toBe("");
    expect(sparkPath([0, 2], [1, 2], 10, 96, 24)).toBe("M2.0 22.0L94.0 2.0");
  });

  it("keep only the last span, in order", () => {
    const trace = new Trace(10);
    for (const t of [1, 3, 2, 12, 3]) trace.add(t, t);
    expect(trace.t).toEqual([2, 3, 12]);
  });
});

describe("tags", () => {
  it("are written key:value", () => {
    expect([parseTag("site:roanoke"), parseTag("spare"), parseTag("url:http://x")]).toEqual([
      { key: "site", value: "roanoke" },
      { key: "spare", value: "" },
      { key: "url", value: "http://x" },
    ]);
  });

  it("all wanted ones must be there; a key alone asks for any value", () => {
    const tags = { site: "roanoke", floor: "1" };
    expect([hasTags(tags, ["site"]), hasTags(tags, ["site:roanoke", "floor:1"]), hasTags(tags, ["site:salem"])]).toEqual([true, true, false]);
  });
});

it("commands quote what a shell would take apart", () => {
  const [mosquitto, curl, python] = snippetsOf({ id: "p-1", token: "abc_-9", host: "box", mqttPort: 1884, origin: "http://box:8080", payload: { door: "it's", on: true } });
  expect(mosquitto!.code).toContain("-P abc_-9 ");
  expect(mosquitto!.code).toContain(`-m '{"door":"it'\\''s","on":true}'`);
  expect(curl!.code).toContain("curl http://box:8080/api/v1/devices/p-1/telemetry");
  expect(python!.code).toContain('json.dumps({"door": "it\'s", "on": True})');
});

it("the commands for an empty page name host, port and where the token goes", () => {
  const { listen, send } = watchCommands("box", 1884);
  expect(listen).toBe("mosquitto_sub -h box -p 1884 -u DEVICE -P TOKEN -t 'devices/DEVICE/#' -v");
  expect(send).toContain("-t devices/DEVICE/telemetry");
});
