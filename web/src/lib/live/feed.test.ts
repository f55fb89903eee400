import { describe, expect, it } from "vitest";
import { Feed, keyOf, MAX_PENDING, type Sink } from "./feed";
import type { Row } from "./protocol";

class Listener implements Sink {
  heard: string[] = [];
  rows(rows: readonly Row[]): void {
    this.heard.push(...rows.map((r) => `${r.device}@${r.t}=${JSON.stringify(r.values)}`));
  }
  device(state: { id: string; online?: boolean; removed?: boolean }): void {
    this.heard.push(`${state.id}:${state.removed ? "removed" : state.online ? "online" : "offline"}`);
  }
  reset(): void {
    this.heard.push("reset");
  }
}

const row = (device: string, t: number, values: Record<string, number>): Row => ({ device, t, values });
const readings = (seq: number, ...rows: Row[]) => ({ op: "readings" as const, id: "s1", seq, at: 0, rows });

describe("a feed", () => {
  it("hands on nothing before the flush, then everything once and in order", () => {
    const [feed, sink] = [new Feed("s1", { devices: ["a"] }), new Listener()];
    feed.add(sink);
    feed.take({ op: "snapshot", id: "s1", seq: 7, at: 0, rows: [row("a", 1, { x: 1 })], devices: [{ id: "a", online: true }] });
    feed.take(readings(8, row("a", 2, { x: 2 })));
    expect(sink.heard).toEqual([]);
    feed.flush();
    feed.flush();
    expect(sink.heard).toEqual(["a:online", 'a@1={"x":1}', 'a@2={"x":2}']);
  });

  it("tells a late listener what the others know, the newest value of each metric", () => {
    const feed = new Feed("s1", { devices: ["*"] });
    feed.add(new Listener());
    feed.take(readings(1, row("a", 5, { x: 5, y: 1 }), row("a", 4, { x: 4 }), row("a", 6, { y: 2 })));
    feed.flush();
    const late = new Listener();
    feed.add(late);
    expect(late.heard).toEqual(['a@5={"x":5}', 'a@6={"y":2}']);
  });

  it("resumes behind the last commit that it heard of, even when frames came out of order", () => {
    const feed = new Feed("s1", { devices: ["a"], metrics: ["x"] });
    expect(feed.subscribeMessage()).toEqual({ op: "subscribe", id: "s1", devices: ["a"], metrics: ["x"] });
    feed.take(readings(12, row("a", 1, { x: 1 })));
    feed.take(readings(11, row("a", 1, { x: 1 })));
    expect(feed.subscribeMessage()).toMatchObject({ since: 12 });
  });

  it("says that there may be a gap before it hands on what came after it, and begins anew", () => {
    const [feed, sink] = [new Feed("s1", { devices: ["a"] }), new Listener()];
    feed.add(sink);
    feed.take(readings(3, row("a", 1, { x: 1 })));
    feed.flush();
    feed.take({ op: "reset", id: "s1", seq: 9 });
    expect(feed.subscribeMessage()).not.toHaveProperty("since");
    feed.take({ op: "snapshot", id: "s1", seq: 9, at: 0, rows: [row("a", 9, { x: 9 })] });
    feed.flush();
    expect(sink.heard.slice(1)).toEqual(["reset", 'a@9={"x":9}']);
  });

  it("forgets a removed device", () => {
    const feed = new Feed("s1", { devices: ["*"] });
    feed.take({ op: "device", id: "s1", device: { id: "a", online: true } });
    feed.take(readings(1, row("a", 1, { x: 1 })));
    feed.flush();
    feed.take({ op: "device", id: "s1", device: { id: "a", removed: true } });
    feed.flush();
    const late = new Listener();
    feed.add(late);
    expect(late.heard).toEqual([]);
  });

  it("asks for a flush when it holds as much as it may", () => {
    const feed = new Feed("s1", { devices: ["a"] });
    feed.take(readings(1, ...Array.from({ length: MAX_PENDING }, (_, t) => row("a", t, { x: t }))));
    expect(feed.full).toBe(true);
    feed.flush();
    expect(feed.full).toBe(false);
  });

  it("is shared by specs that ask for the same thing", () => {
    expect(keyOf({ devices: ["b", "a"] })).toBe(keyOf({ devices: ["a", "b"] }));
    expect(keyOf({ devices: ["a"] })).not.toBe(keyOf({ devices: ["a"], metrics: ["x"] }));
  });
});
