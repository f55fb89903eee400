// The page's only socket. Pages subscribe and let go; equal subscriptions share
// one feed. After a lost connection everything is subscribed again, resuming
// behind the last commit that was heard of.

import { backoff } from "./live/backoff";
import { Feed, keyOf, type Sink } from "./live/feed";
import { LatencyMeter } from "./live/latency";
import { type Frame, parseFrame, PROTOCOL, type Spec } from "./live/protocol";

export type { Sink } from "./live/feed";
export type { DeviceState, Row, Spec } from "./live/protocol";

/** off: not wanted; waiting: lost, next attempt at retryAt. */
export type Connection = "off" | "connecting" | "open" | "waiting";

const FLUSH_EVERY = 100; // ms: pages change at most ten times a second
const FLUSH_HIDDEN = 500; // ms: nobody looks, only memory has to stay small
const PING_EVERY = 10_000;
const FIRST_PINGS = 5; // these follow each other by a second: the first ones meet a page that is being built
const SILENCE = 25_000; // nothing heard for so long: the connection is dead

const now = () => performance.timeOrigin + performance.now();

export class Live {
  connection = $state<Connection>("off");
  /** Time (Unix ms) of the next attempt while waiting. */
  retryAt = $state(0);
  /** Server to page, ms, over the last frames; undefined before the first. */
  p50 = $state<number>();
  p99 = $state<number>();
  /** Readings that the server left out because this page was too slow. */
  skipped = $state(0);
  /** The last refusal of a subscription, for people. */
  refusal = $state("");

  private socket: WebSocket | undefined;
  private readonly feeds = new Map<string, Feed>(); // by id
  private readonly meter = new LatencyMeter();
  private nextID = 1;
  private attempt = 0;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private beat: ReturnType<typeof setInterval> | undefined;
  private flushPlanned = false;
  private flushedAt = 0;
  private heardAt = 0;
  private pingedAt = 0;
  private pings = 0;

  /** url is asked at every attempt; onRefused is called when a connection ended before it opened. */
  constructor(
    private readonly url: () => string,
    private readonly onRefused: () => void,
  ) {}

  start(): void {
    if (this.connection !== "off") return;
    addEventListener("online", this.retryNow);
    document.addEventListener("visibilitychange", this.retryNow);
    this.connect();
  }

  stop(): void {
    removeEventListener("online", this.retryNow);
    document.removeEventListener("visibilitychange", this.retryNow);
    clearTimeout(this.retryTimer);
    this.drop();
    this.feeds.clear();
    this.attempt = 0;
    this.connection = "off";
  }

  /** Subscribes sink to spec until the returned function is called. */
  subscribe(spec: Spec, sink: Sink): () => void {
    const key = keyOf(spec);
    let feed = [...this.feeds.values()].find((f) => f.key === key);
    if (!feed) {
      feed = new Feed(`s${this.nextID++}`, spec);
      this.feeds.set(feed.id, feed);
      this.send(feed.subscribeMessage());
    }
    feed.add(sink);
    return () => this.release(feed, sink);
  }

  /** Does not wait for the next attempt. */
  readonly retryNow = (): void => {
    if (this.connection !== "waiting" || document.hidden) return;
    clearTimeout(this.retryTimer);
    this.connect();
  };

  private release(feed: Feed, sink: Sink): void {
    feed.remove(sink);
    if (!feed.idle || this.feeds.get(feed.id) !== feed) return;
    this.feeds.delete(feed.id);
    this.send({ op: "unsubscribe", id: feed.id });
  }

  private connect(): void {
    this.connection = "connecting";
    const socket = new WebSocket(this.url(), PROTOCOL);
    this.socket = socket;
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.opened();
    };
    socket.onmessage = (event) => this.heard(parseFrame(event.data));
    socket.onclose = () => {
      if (this.socket !== socket) return;
      if (!opened) this.onRefused();
      this.lost();
    };
  }

  private opened(): void {
    this.connection = "open";
    this.refusal = "";
    this.heardAt = now();
    this.meter.restart(this.heardAt);
    this.pings = 0;
    for (const feed of this.feeds.values()) this.send(feed.subscribeMessage());
    this.ping();
    this.beat = setInterval(() => this.tick(), 1000);
  }

  private lost(): void {
    this.drop();
    const wait = backoff(this.attempt++, Math.random());
    this.connection = "waiting";
    this.retryAt = Date.now() + wait;
    this.retryTimer = setTimeout(() => this.connect(), wait);
  }

  private drop(): void {
    clearInterval(this.beat);
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
    this.p50 = this.p99 = undefined;
  }

  private tick(): void {
    const time = now();
    if (time - this.heardAt > SILENCE) return this.lost();
    if (this.pings < FIRST_PINGS || time - this.pingedAt > PING_EVERY) this.ping();
    this.p50 = this.meter.percentile(0.5);
    this.p99 = this.meter.percentile(0.99);
  }

  private ping(): void {
    this.pings++;
    this.pingedAt = now();
    this.send({ op: "ping" });
  }

  private heard(frame: Frame | undefined): void {
    if (!frame) return;
    const arrived = now();
    this.heardAt = arrived;
    if (frame.op === "hello") this.attempt = 0;
    if (frame.op === "pong") this.meter.roundTrip(arrived - this.pingedAt);
    if (frame.op === "error") this.refusal = frame.message;
    if (frame.op === "readings") {
      this.meter.frame(frame.received, frame.at, arrived);
    }
    if ("skipped" in frame && frame.skipped) this.skipped += frame.skipped;
    const feed = "id" in frame && frame.id ? this.feeds.get(frame.id) : undefined;
    if (!feed) return;
    feed.take(frame);
    if (feed.full) this.flush();
    else this.planFlush();
  }

  private planFlush(): void {
    if (this.flushPlanned) return;
    this.flushPlanned = true;
    const wait = document.hidden ? FLUSH_HIDDEN : this.flushedAt + FLUSH_EVERY - now();
    const draw = () => (document.hidden ? this.flush() : requestAnimationFrame(() => this.flush()));
    if (wait > 0) setTimeout(draw, wait);
    else draw();
  }

  private flush(): void {
    this.flushPlanned = false;
    this.flushedAt = now();
    for (const feed of this.feeds.values()) feed.flush();
  }

  private send(message: Record<string, unknown>): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}
