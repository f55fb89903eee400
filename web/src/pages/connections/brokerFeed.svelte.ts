// What the MQTT server is doing, asked for every two seconds while the page
// shows it, with the course of its rates since the first time that it did.

import { broker } from "../../lib/api/broker";
import { messageOf } from "../../lib/api/client";
import type { BrokerInfo } from "../../lib/api/types";
import { poll } from "../../lib/poll";
import { Trace } from "../../lib/spark";

const EVERY = 2000;
export const COURSE = 10 * 60_000;

class BrokerFeed {
  now = $state.raw<BrokerInfo>();
  error = $state("");
  /** Changes whenever the traces do. */
  version = $state(0);
  readonly messagesIn = new Trace(COURSE, 400);
  readonly messagesOut = new Trace(COURSE, 400);

  watch(): () => void {
    return poll(EVERY, () => this.ask());
  }

  async ask(): Promise<void> {
    try {
      this.take(await broker.info());
      this.error = "";
    } catch (error) {
      this.error = messageOf(error);
    }
  }

  private take(info: BrokerInfo): void {
    const at = Date.now();
    this.messagesIn.add(at, info.rates.messagesIn);
    this.messagesOut.add(at, info.rates.messagesOut);
    this.now = info;
    this.version++;
  }
}

export const brokerFeed = new BrokerFeed();
