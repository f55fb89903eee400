// One page of the connections, asked for again every few seconds. The server
// pages by cursor, so the cursors on the way here are the way back.

import { broker } from "../../lib/api/broker";
import { messageOf } from "../../lib/api/client";
import type { Client } from "../../lib/api/types";
import { poll } from "../../lib/poll";

const EVERY = 3000;
export const PER_PAGE = 50;

export class ClientList {
  clients = $state.raw<Client[]>([]);
  /** Connections that match, on all pages. */
  total = $state(0);
  /** Whether what is here was searched for. */
  filtered = $state(false);
  page = $state(1);
  pages = $derived(Math.max(this.page, Math.ceil(this.total / PER_PAGE)));
  /** True until the first answer. */
  loading = $state(true);
  error = $state("");

  private cursors: string[] = []; // where the pages from the second to this one begin
  private next = "";
  private asking: AbortController | undefined;

  constructor(private text: string) {}

  open(): () => void {
    const stop = poll(EVERY, () => this.refresh());
    return () => {
      stop();
      this.asking?.abort();
    };
  }

  /** Begins again at the first page. */
  async search(text: string): Promise<void> {
    if (text === this.text) return;
    this.text = text;
    this.cursors = [];
    await this.refresh();
  }

  /** Turns to the page before or behind this one. */
  async turn(page: number): Promise<void> {
    if (page < this.page) this.cursors.pop();
    else if (this.next) this.cursors.push(this.next);
    await this.refresh();
  }

  async refresh(): Promise<void> {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    try {
      await this.ask(asking.signal);
      if (!asking.signal.aborted) this.error = "";
    } catch (error) {
      if (asking.signal.aborted) return;
      this.error = messageOf(error);
    }
    if (!asking.signal.aborted) this.loading = false;
  }

  private async ask(signal: AbortSignal): Promise<void> {
    const { text } = this;
    const cursor = this.cursors[this.cursors.length - 1] ?? "";
    const answer = await broker.clients({ q: text, limit: PER_PAGE, cursor }, signal);
    if (signal.aborted) return;
    if (cursor && (answer.items.length === 0 || answer.total <= this.cursors.length * PER_PAGE)) {
      this.cursors.pop(); // so many have gone that there is no such page any more
      return this.ask(signal);
    }
    this.clients = answer.items;
    this.total = answer.total;
    this.filtered = text !== "";
    this.next = answer.next ?? "";
    this.page = this.cursors.length + 1;
  }
}
