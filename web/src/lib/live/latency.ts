// How long a reading takes from the server's network card to this page.
//
// The clocks of browser and server differ, so the difference of their times
// says nothing by itself. The smallest (arrival here − sent there) of the last
// minute is clock difference plus the fastest way; half of the fastest round
// trip is that fastest way. What a frame took longer than that, plus the way
// itself, plus what the server measured on its own clock (received → sent), is
// the latency.

const WINDOW = 512; // samples that the percentiles are taken from
const SETTLING = 1500; // a page that is being built is late by itself
const BASE_AGE = 60_000; // how long a smallest difference counts, so that drifting clocks do no harm

export class LatencyMeter {
  private readonly samples: number[] = [];
  private next = 0;
  private base: number | undefined;
  private nextBase: number | undefined;
  private baseSince = 0;
  private fastestTrip: number | undefined;
  private since = 0;

  /** Notes the round trip of a ping. */
  roundTrip(ms: number): void {
    if (this.fastestTrip === undefined || ms < this.fastestTrip) this.fastestTrip = ms;
  }

  /** Notes a frame that was received, sent (server clock) and arrived (our clock), all Unix ms. */
  frame(received: number | undefined, sent: number, arrived: number): void {
    const difference = arrived - sent;
    this.noteBase(difference, arrived);
    if (received === undefined || received <= 0 || arrived - this.since < SETTLING) return;
    const way = (this.fastestTrip ?? 0) / 2;
    const took = Math.max(0, sent - received) + (difference - this.base!) + way;
    this.samples[this.next] = took;
    this.next = (this.next + 1) % WINDOW;
  }

  /** The share p (0…1) of the last samples that were faster; undefined before the first. */
  percentile(p: number): number | undefined {
    if (this.samples.length === 0) return undefined;
    const sorted = [...this.samples].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))];
  }

  /** Forgets everything that belongs to another connection than the one that opened now. */
  restart(now: number): void {
    this.since = now;
    this.base = this.nextBase = this.fastestTrip = undefined;
    this.samples.length = 0;
    this.next = 0;
  }

  private noteBase(difference: number, now: number): void {
    if (this.base === undefined) {
      this.base = this.nextBase = difference;
      this.baseSince = now;
    } else if (now - this.baseSince > BASE_AGE) {
      this.base = Math.min(this.nextBase!, difference);
      this.nextBase = difference;
      this.baseSince = now;
    }
    this.base = Math.min(this.base, difference);
    this.nextBase = Math.min(this.nextBase!, difference);
  }
}
