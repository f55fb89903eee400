// The frames of trefoil.live.v1, as far as the UI uses them.

import type { Value } from "../api/types";

export const PROTOCOL = "trefoil.live.v1";

/** The readings of one device at one time (Unix ms). */
export interface Row {
  device: string;
  t: number;
  values: Record<string, Value>;
}

export interface DeviceState {
  id: string;
  online?: boolean;
  reason?: string;
  since?: number;
  removed?: boolean;
}

/** What a page wants to hear: devices by id or "*", and metrics (absent: all). */
export interface Spec {
  devices: readonly string[];
  metrics?: readonly string[];
}

export type Frame =
  | { op: "hello"; protocol: string; seq: number; at: number }
  | { op: "snapshot"; id: string; seq: number; at: number; rows?: Row[]; devices?: DeviceState[]; skipped?: number }
  | { op: "readings"; id: string; seq: number; at: number; rows: Row[]; skipped?: number; received?: number }
  | { op: "device"; id: string; device: DeviceState }
  | { op: "reset"; id: string; seq: number }
  | { op: "unsubscribed"; id: string }
  | { op: "pong" }
  | { op: "error"; id?: string; code: string; message: string };

/** The frame in text, or undefined when it is not one. */
export function parseFrame(text: unknown): Frame | undefined {
  if (typeof text !== "string") return undefined;
  try {
    const frame = JSON.parse(text) as Frame;
    return typeof frame?.op === "string" ? frame : undefined;
  } catch {
    return undefined;
  }
}
