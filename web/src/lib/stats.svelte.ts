// The figures of the server, asked for every two seconds while a page shows
// them, with their course since the first page that did.

import { messageOf } from "./api/client";
import { server } from "./api/server";
import type { Stats } from "./api/types";
import { Trace } from "./spark";

const EVERY = 2000;
export const COURSE = 10 * 60_000;

class StatsFeed {
  now = $state.raw<Stats>();
  error = $state("");
  /** Changes whenever the traces do. */
  version = $state(0);
  readonly messages = new Trace(COURSE, 400);
  readonly readings = new Trace(COURSE, 400);
  readonly commit = new Trace(COURSE, 400);

  private watchers = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** Asks until the returned function is called. */
  watch(): () => void {
    if (this.watchers++ === 0) void this.ask();
    return () => {
      if (--this.watchers === 0) clearTimeout(this.timer);
    };
  }

  private async ask(): Promise<void> {
    try {
      if (!document.hidden || !this.now) this.take(await server.stats());
      this.error = "";
    } catch (error) {
      this.error = messageOf(error);
    }
    clearTimeout(this.timer);
    if (this.watchers > 0) this.timer = setTimeout(() => void this.ask(), EVERY);
  }

  private take(stats: Stats): void {
    const at = Date.now();
    this.messages.add(at, stats.rates.messagesPerSecond);
    this.readings.add(at, stats.rates.readingsPerSecond);
    this.commit.add(at, stats.commit.p99ms);
    this.now = stats;
    this.version++;
  }
}

export const stats = new StatsFeed();
