import { describe, expect, it } from "vitest";
import type { Device } from "../../lib/api/types";
import { DeviceView } from "./deviceView.svelte";
import { frequentTags, searchOf, select, type Selection, selectionFromQuery } from "./selection";

function view(id: string, change: Partial<Device> = {}, since = "2026-11-22T20:00:00Z"): DeviceView {
  const online = change.online ?? true;
  const presence = { online, reason: online ? "connected" : "connection lost", since };
  return new DeviceView({ id, name: id, tags: {}, profile: "", online, presence, created: "2026-11-01T00:00:00Z", updated: "2026-11-01T00:00:00Z", ...change });
}

const ALL: Selection = { text: "", tags: [], state: "", order: "name" };
const ids = (views: DeviceView[]) => views.map((v) => v.id);

describe("the devices that are shown", () => {
  const views = [
    view("pump-10", { name: "Pump 10", tags: { site: "salem" } }),
    view("pump-9", { name: "Pump 9", tags: { site: "roanoke", pilot: "" }, online: false }),
    view("van-1", { name: "Fish", profile: "cold-chain", created: "2026-11-20T00:00:00Z" }),
  ];

  it("stand in the order in which people count", () => {
    expect(ids(select(views, ALL))).toEqual(["van-1", "pump-9", "pump-10"]);
  });

  it("are found by every word in id, name, profile or tags", () => {
    expect(ids(select(views, { ...ALL, text: "PUMP sal" }))).toEqual(["pump-10"]);
    expect(ids(select(views, { ...ALL, text: "cold-chain" }))).toEqual(["van-1"]);
    expect(ids(select(views, { ...ALL, text: "nothing" }))).toEqual([]);
  });

  it("have all of the tags", () => {
    expect(ids(select(views, { ...ALL, tags: ["site:roanoke", "pilot"] }))).toEqual(["pump-9"]);
  });

  it("follow the state that the socket told last", () => {
    const v = view("a");
    v.setState({ id: "a", online: false, reason: "keepalive timeout", since: Date.parse("2026-11-22T21:00:00Z") });
    v.renew(v.device); // a list that was asked for before that
    expect(ids(select([v], { ...ALL, state: "offline" }))).toEqual(["a"]);
  });

  it("are sorted by trouble, by last reading or by age", () => {
    views[2]!.take(1000, { speed: 3 });
    expect(ids(select(views, { ...ALL, order: "state" }))[0]).toBe("pump-9");
    expect(ids(select(views, { ...ALL, order: "read" }))[0]).toBe("van-1");
    expect(ids(select(views, { ...ALL, order: "new" }))[0]).toBe("van-1");
  });

  it("are asked for from the server in the same words", () => {
    const s = selectionFromQuery(new URLSearchParams("q=pump&tags=site:salem,pilot&state=offline&sort=x"));
    expect(s).toEqual({ text: "pump", tags: ["site:salem", "pilot"], state: "offline", order: "name" });
    expect(searchOf(s)).toEqual({ q: "pump", tag: ["site:salem", "pilot"], online: false });
  });

  it("offer their most frequent tags as filters", () => {
    expect(frequentTags([...views, view("b", { tags: { site: "salem" } })], 2).map((t) => [t.text, t.count])).toEqual([
      ["site:salem", 2],
      ["pilot", 1],
    ]);
  });
});

describe("a device's values", () => {
  it("are the newest of each metric, whatever the order of arrival", () => {
    const v = view("a");
    v.take(2000, { temperature: 22, door: "open" });
    v.take(1000, { temperature: 21, humidity: 40 });
    expect(v.cells(undefined).map((c) => [c.metric, c.value])).toEqual([
      ["temperature", 22],
      ["humidity", 40],
      ["door", "open"],
    ]);
    expect(v.readAt).toBe(2000);
  });
});
