import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Live, type Row } from "./live.svelte";

// A socket whose other end is the test.
class Socket {
  static readonly OPEN = 1;
  static made: Socket[] = [];
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  onopen?: () => void;
  onmessage?: (event: { data: string }) => void;
  onclose?: () => void;

  constructor(
    readonly url: string,
    readonly protocol: string,
  ) {
    Socket.made.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }

  close(): void {
    this.readyState = 3;
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
    this.say({ op: "hello", protocol: this.protocol, seq: 1, at: 0 });
  }

  say(frame: unknown): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  lose(): void {
    this.readyState = 3;
    this.onclose?.();
  }

  said(op: string): Record<string, unknown>[] {
    return this.sent.filter((m) => m["op"] === op);
  }
}

const last = () => Socket.made[Socket.made.length - 1]!;
const readings = (id: unknown, seq: number, t: number) => ({ op: "readings", id, seq, at: t, rows: [{ device: "a", t, values: { x: t } }] });

function listener() {
  const times: number[] = [];
  return { times, rows: (rows: readonly Row[]) => void times.push(...rows.map((r) => r.t)) };
}

describe("the page's socket", () => {
  let live: Live;
  let refused = 0;

  beforeEach(() => {
    vi.useFakeTimers();
    Socket.made = [];
    refused = 0;
    vi.stubGlobal("WebSocket", Socket);
    vi.stubGlobal("document", { hidden: false, addEventListener: () => {}, removeEventListener: () => {} });
    vi.stubGlobal("addEventListener", () => {});
    vi.stubGlobal("removeEventListener", () => {});
    vi.stubGlobal("requestAnimationFrame", (draw: () => void) => setTimeout(draw, 16));
    live = new Live(
      () => "ws://host/api/v1/live",
      () => refused++,
    );
  });

  afterEach(() => {
    live.stop();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  function opened(): Socket {
    live.start();
    last().open();
    return last();
  }

  it("is one for all subscriptions, and equal ones share a feed", () => {
    const socket = opened();
    live.subscribe({ devices: ["a", "b"] }, listener());
    live.subscribe({ devices: ["b", "a"] }, listener());
    live.subscribe({ devices: ["c"] }, listener());
    expect([Socket.made.length, socket.said("subscribe").map((m) => m["devices"])]).toEqual([1, [["a", "b"], ["c"]]]);
  });

  it("unsubscribes when the last listener has gone", () => {
    const socket = opened();
    const stops = [live.subscribe({ devices: ["a"] }, listener()), live.subscribe({ devices: ["a"] }, listener())];
    stops[0]!();
    expect(socket.said("unsubscribe")).toEqual([]);
    stops[1]!();
    expect(socket.said("unsubscribe")).toEqual([{ op: "unsubscribe", id: "s1" }]);
  });

  it("subscribes what was asked for before it opened", () => {
    live.start();
    live.subscribe({ devices: ["a"] }, listener());
    last().open();
    expect(last().said("subscribe").length).toBe(1);
  });

  it("comes back after a loss and resumes behind the last commit", () => {
    const sink = listener();
    const before = opened();
    live.subscribe({ devices: ["a"] }, sink);
    before.say(readings("s1", 41, 1));
    before.lose();
    expect(live.connection).toBe("waiting");
    vi.advanceTimersByTime(600);
    last().open();
    expect(last()).not.toBe(before);
    expect(last().said("subscribe")).toEqual([{ op: "subscribe", id: "s1", devices: ["a"], since: 41 }]);
    last().say(readings("s1", 42, 2));
    vi.advanceTimersByTime(200);
    expect(sink.times).toEqual([1, 2]);
  });

  it("waits longer after each attempt that fails, and asks why it was refused", () => {
    live.start();
    for (let attempt = 0; attempt < 4; attempt++) {
      last().lose();
      vi.advanceTimersByTime(20_000);
    }
    expect([Socket.made.length, refused]).toEqual([5, 4]);
    last().lose();
    expect(live.retryAt - Date.now()).toBeGreaterThanOrEqual(4000);
  });

  it("tells its listeners at most ten times a second", () => {
    const socket = opened();
    let calls = 0;
    live.subscribe({ devices: ["a"] }, { rows: () => calls++ });
    for (let t = 0; t < 1000; t += 5) {
      socket.say(readings("s1", t + 1, t));
      vi.advanceTimersByTime(5);
    }
    expect(calls).toBeGreaterThanOrEqual(7);
    expect(calls).toBeLessThanOrEqual(11);
  });

  it("gives a silent server up", () => {
    const socket = opened();
    vi.advanceTimersByTime(24_000);
    expect(live.connection).toBe("open");
    vi.advanceTimersByTime(3000);
    expect([live.connection === "open", socket.readyState]).toEqual([false, 3]);
  });

  it("is deaf to what is not a frame", () => {
    const socket = opened();
    live.subscribe({ devices: ["a"] }, listener());
    socket.onmessage?.({ data: "{" });
    socket.onmessage?.({ data: '"text"' });
    socket.say({ op: "readings", id: "unknown", seq: 1, at: 0, rows: [] });
    expect(live.connection).toBe("open");
  });
});
