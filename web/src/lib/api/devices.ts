import type { ConnectionEvents, Device, DeviceChange, DeviceInput, DeviceMetrics, DevicePage, History, Ledger, NewDevice, ProfileList, Token } from "./types";
import { del, get, patch, post, queryString } from "./client";

const path = (id: string, rest = "") => `/api/v1/devices/${encodeURIComponent(id)}${rest}`;

export interface DeviceQuery {
  q?: string;
  tag?: string[];
  online?: boolean;
  limit?: number;
  cursor?: string;
}

export interface HistoryQuery {
  metric?: string[];
  from: number | string;
  to: number | string;
  step?: string;
  agg?: string;
  tz?: string;
  points?: number;
}

export const devices = {
  list: (query: DeviceQuery, signal?: AbortSignal) => get<DevicePage>("/api/v1/devices", { ...query }, signal),
  one: (id: string, signal?: AbortSignal) => get<Device>(path(id), {}, signal),
  create: (device: DeviceInput) => post<NewDevice>("/api/v1/devices", device),
  change: (id: string, change: DeviceChange) => patch<Device>(path(id), change),
  remove: (id: string) => del(path(id)),
  newToken: (id: string) => post<Token>(path(id, "/token")),
  metrics: (id: string, signal?: AbortSignal) => get<DeviceMetrics>(path(id, "/metrics"), {}, signal),
  drops: (id: string, signal?: AbortSignal) => get<Ledger>(path(id, "/drops"), {}, signal),
  events: (id: string, signal?: AbortSignal) => get<ConnectionEvents>(path(id, "/events"), {}, signal),
  /** Address of all readings of a range as a file. */
  csv: (id: string, query: HistoryQuery) => path(id, "/history") + queryString({ ...query, format: "csv" }),
  history: (id: string, query: HistoryQuery, signal?: AbortSignal) => get<History>(path(id, "/history"), { ...query }, signal),
};

export const profiles = {
  list: () => get<ProfileList>("/api/v1/profiles"),
};
