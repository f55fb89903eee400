// The shapes of the API in the words of the UI.

export type Value = number | boolean | string;
export type Kind = "number" | "boolean" | "text";

/** Presence says whether a device has a connection, why, and since when (RFC 3339, empty: never). */
export interface Presence {
  online: boolean;
  reason: string;
  since?: string;
}

export interface Device {
  id: string;
  name: string;
  tags: Record<string, string>;
  profile: string;
  online: boolean;
  presence: Presence;
  created: string;
  updated: string;
}

export interface Page<T> {
  items: T[];
  next?: string;
  total?: number;
}

export interface MetricInfo {
  label?: string;
  unit?: string;
  min?: number;
  max?: number;
  decimals?: number;
  cadence?: string;
  kind?: Kind;
}

export interface Profile {
  name: string;
  label?: string;
  description?: string;
  metrics: Record<string, MetricInfo>;
}

export interface Latest {
  t: number;
  v: Value;
}

export interface Series {
  metric: string;
  unit?: string;
  t: number[];
  v?: Value[];
  avg?: (number | null)[];
  min?: (number | null)[];
  max?: (number | null)[];
  count?: number[];
  first?: Value[];
  last?: Value[];
}

export interface History {
  from: number;
  to: number;
  step?: number;
  series: Series[];
}

export interface Drop {
  reason: string;
  count: number;
  time: string;
  topic?: string;
  detail?: string;
  sample?: string;
}

export interface Ledger {
  items: Drop[];
  received: number;
  stored: number;
  dropped: number;
}

export interface User {
  name: string;
  role: string;
}

export interface Stats {
  messages: { received: number; stored: number; dropped: number };
  readings: { stored: number };
  rates: { messagesPerSecond: number; readingsPerSecond: number };
  connections: number;
  devices: { total: number; online: number };
  queue: { depth: number; capacity: number };
  commit: { p50ms: number; p99ms: number; seq: number };
  viewers: number;
}

export interface ServerInfo {
  version: string;
  commit?: string;
  started: string;
  store: { engine: string; bytes: number; series: number; readings: number };
  mqtt: { address: string; port: number };
  http: { address: string; port: number };
  ready: boolean;
  reason?: string;
}
