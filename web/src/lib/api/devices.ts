import type { Device, History, Latest, Ledger, Page, Profile } from "./types";
import { del, get, patch, post } from "./client";

const path = (id: string, rest = "") => `/api/v1/devices/${encodeURIComponent(id)}${rest}`;

export interface DeviceQuery {
  q?: string;
  tag?: string[];
  online?: boolean;
  limit?: number;
  cursor?: string;
}

export interface NewDevice {
  id?: string;
  name?: string;
  tags?: Record<string, string>;
  profile?: string;
}

/** A change of a device; what is absent stays, tags are replaced as a whole. */
export interface DevicePatch {
  name?: string;
  tags?: Record<string, string>;
  profile?: string;
}

/** A metric that a device has sent, with what its profile says about it. */
export interface DeviceMetric extends Latest {
  metric: string;
  label?: string;
  unit?: string;
  decimals?: number;
  kind?: "number" | "boolean" | "text";
}

export interface HistoryQuery {
  metric?: string[];
  from: number | string;
  to: number | string;
  step?: string;
  agg?: string;
  points?: number;
}

export const devices = {
  list: (query: DeviceQuery, signal?: AbortSignal) => get<Page<Device>>("/api/v1/devices", { ...query }, signal),
  one: (id: string, signal?: AbortSignal) => get<Device>(path(id), {}, signal),
  create: (device: NewDevice) => post<Device & { token: string }>("/api/v1/devices", device),
  change: (id: string, change: DevicePatch) => patch<Device>(path(id), change),
  remove: (id: string) => del(path(id)),
  newToken: (id: string) => post<{ token: string }>(path(id, "/token")),
  metrics: (id: string, signal?: AbortSignal) => get<{ items: DeviceMetric[] }>(path(id, "/metrics"), {}, signal),
  drops: (id: string, signal?: AbortSignal) => get<Ledger>(path(id, "/drops"), {}, signal),
  history: (id: string, query: HistoryQuery, signal?: AbortSignal) => get<History>(path(id, "/history"), { ...query }, signal),
};

export const profiles = {
  list: () => get<{ items: Profile[] }>("/api/v1/profiles"),
};
