// The devices of the fleet page: listed by REST, kept current by the socket.

import { messageOf } from "../../lib/api/client";
import { type DeviceQuery, devices as api, profiles as profilesApi } from "../../lib/api/devices";
import type { Device, Profile } from "../../lib/api/types";
import type { DeviceState, Row, Sink } from "../../lib/live.svelte";
import { live } from "../../lib/session.svelte";
import { DeviceView, SPARK_SPAN } from "./deviceView.svelte";

const LIST_PAGE = 500;
const LIST_MOST = 5000; // more are found by searching on the server
const WATCH_ALL = 200; // up to this many are all live, not only those in view
const RELIST_EVERY = 20_000; // or 20 ms for every device: thousands are not listed all the time
const COURSES_AT_ONCE = 4;

/** What the server is asked to look for; empty: all devices. */
export type Search = Pick<DeviceQuery, "q" | "tag" | "online">;

export class Fleet implements Sink {
  views = $state.raw<DeviceView[]>([]);
  profiles = $state.raw<Record<string, Profile>>({});
  loading = $state(true);
  error = $state("");
  /** Devices that the server has for this search. */
  total = $state(0);
  /** True when the server has more than are listed here. */
  cut = $state(false);

  private readonly byID = new Map<string, DeviceView>();
  private search: Search = {};
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asking: AbortController | undefined;
  private stopWatching: (() => void) | undefined;
  private watched = "";
  private courses: DeviceView[] = [];
  private coursesRunning = 0;
  private closed = false;

  open(): () => void {
    void profilesApi.list().then(
      ({ items }) => (this.profiles = Object.fromEntries(items.map((p) => [p.name, p]))),
      () => {}, // without profiles, labels come from the names of metrics
    );
    void this.list();
    return () => {
      this.closed = true;
      clearTimeout(this.timer);
      this.asking?.abort();
      this.stopWatching?.();
    };
  }

  /** Lists again; the server has to search only where the list is cut. */
  async list(search: Search = this.search): Promise<void> {
    this.search = search;
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    clearTimeout(this.timer);
    try {
      await this.listAll(search, asking.signal);
      this.error = "";
    } catch (error) {
      if (asking.signal.aborted) return;
      this.error = messageOf(error);
    }
    this.loading = false;
    if (!this.closed) this.timer = setTimeout(() => void this.list(), Math.max(RELIST_EVERY, this.views.length * 20));
  }

  /** Says which devices are in view. */
  watch(inView: readonly DeviceView[]): void {
    const ids = this.total <= WATCH_ALL ? ["*"] : inView.map((v) => v.id).sort();
    const key = ids.join(" ");
    if (key !== this.watched) {
      this.watched = key;
      const stopBefore = this.stopWatching;
      this.stopWatching = ids.length > 0 ? live.subscribe({ devices: ids }, this) : undefined;
      stopBefore?.();
    }
    this.courses = inView.filter((v) => v.wantsCourse()).concat(this.courses);
    this.askCourses();
  }

  rows(rows: readonly Row[]): void {
    let stranger = false;
    for (const row of rows) {
      const view = this.byID.get(row.device);
      if (view) view.take(row.t, row.values);
      else stranger = true;
    }
    if (stranger && !this.cut) this.listSoon();
  }

  device(state: DeviceState): void {
    const view = this.byID.get(state.id);
    if (!view) return state.removed || this.cut ? undefined : this.listSoon();
    if (state.removed) this.forget(view);
    else view.setState(state);
  }

  private listSoon(): void {
    if (this.loading || this.closed) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.list(), 500);
  }

  private async listAll(search: Search, signal: AbortSignal): Promise<void> {
    const items: Device[] = [];
    let cursor: string | undefined;
    let total: number | undefined;
    do {
      const page = await api.list({ ...search, limit: LIST_PAGE, ...(cursor ? { cursor } : {}) }, signal);
      items.push(...page.items);
      total ??= page.total;
      cursor = page.next;
      if (this.loading) this.show(items, total ?? items.length, cursor !== undefined); // first rows at once
    } while (cursor && items.length < LIST_MOST);
    this.show(items, total ?? items.length, cursor !== undefined);
  }

  private show(items: readonly Device[], total: number, cut: boolean): void {
    const seen = new Set(items.map((d) => d.id));
    for (const id of this.byID.keys()) if (!seen.has(id)) this.byID.delete(id);
    for (const device of items) {
      const view = this.byID.get(device.id);
      if (view) view.renew(device);
      else this.byID.set(device.id, new DeviceView(device));
    }
    this.total = total;
    this.cut = cut || (this.cut && Object.keys(this.search).length > 0);
    this.views = items.map((d) => this.byID.get(d.id)!);
  }

  private forget(view: DeviceView): void {
    this.byID.delete(view.id);
    this.views = this.views.filter((v) => v !== view);
    this.total = Math.max(0, this.total - 1);
  }

  private askCourses(): void {
    while (this.coursesRunning < COURSES_AT_ONCE && this.courses.length > 0 && !this.closed) {
      const view = this.courses.shift()!;
      this.coursesRunning++;
      void api
        .history(view.id, { from: `-${SPARK_SPAN / 1000}s`, to: "now", points: 120 })
        .then(
          (history) => view.fill(history),
          () => {}, // the small lines then begin with the next readings
        )
        .finally(() => {
          this.coursesRunning--;
          this.askCourses();
        });
    }
  }
}
