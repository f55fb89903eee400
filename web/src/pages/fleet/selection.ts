// Which devices of the list are shown, and in which order.

import { type Tag, hasTags, tagList, tagText } from "../../lib/tags";
import type { DeviceView } from "./deviceView.svelte";
import type { Search } from "./fleet.svelte";

export type Order = "name" | "state" | "read" | "new";
export type StateFilter = "" | "online" | "offline";

export interface Selection {
  text: string;
  tags: readonly string[];
  state: StateFilter;
  order: Order;
}

export const PER_PAGE = 50;

export function selectionFromQuery(q: URLSearchParams): Selection {
  const state = q.get("state");
  const order = q.get("sort");
  return {
    text: q.get("q") ?? "",
    tags: (q.get("tags") ?? "").split(",").filter(Boolean),
    state: state === "online" || state === "offline" ? state : "",
    order: order === "state" || order === "read" || order === "new" ? order : "name",
  };
}

/** The selection as the server takes it. */
export function searchOf(s: Selection): Search {
  const search: Search = {};
  if (s.text) search.q = s.text;
  if (s.tags.length > 0) search.tag = [...s.tags];
  if (s.state) search.online = s.state === "online";
  return search;
}

/** The devices that the selection means, in its order. */
export function select(views: readonly DeviceView[], s: Selection): DeviceView[] {
  const words = s.text.toLowerCase().split(/\s+/).filter(Boolean);
  return views
    .filter((v) => {
      if (s.state !== "" && v.presence.online !== (s.state === "online")) return false;
      if (!hasTags(v.device.tags, s.tags)) return false;
      const text = haystack(v);
      return words.every((w) => text.includes(w));
    })
    .sort(ORDERS[s.order]);
}

function haystack(v: DeviceView): string {
  const { id, name, profile, tags } = v.device;
  return [id, name, profile, ...tagList(tags).map(tagText)].join(" ").toLowerCase();
}

type Compare = (a: DeviceView, b: DeviceView) => number;

const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const byName: Compare = (a, b) => collator.compare(a.device.name || a.id, b.device.name || b.id) || collator.compare(a.id, b.id);

const ORDERS: Record<Order, Compare> = {
  name: byName,
  state: (a, b) => Number(a.presence.online) - Number(b.presence.online) || (b.presence.since ?? 0) - (a.presence.since ?? 0) || byName(a, b),
  read: (a, b) => b.readAt - a.readAt || byName(a, b),
  new: (a, b) => Date.parse(b.device.created) - Date.parse(a.device.created) || byName(a, b),
};

/** The tags to offer as filters, the most frequent first, with how many devices have them. */
export function frequentTags(views: readonly DeviceView[], most: number): { tag: Tag; text: string; count: number }[] {
  const counts = new Map<string, { tag: Tag; text: string; count: number }>();
  for (const v of views) {
    for (const tag of tagList(v.device.tags)) {
      const text = tagText(tag);
      const entry = counts.get(text);
      if (entry) entry.count++;
      else counts.set(text, { tag, text, count: 1 });
    }
  }
  return [...counts.values()].sort((a, b) => b.count - a.count || (a.text < b.text ? -1 : 1)).slice(0, most);
}
