// What is said about a device's connection.

import type { Device } from "./api/types";
import { duration, parseTime } from "./format";
import type { DeviceState } from "./live/protocol";

export interface PresenceState {
  online: boolean;
  reason: string;
  /** Unix ms; undefined: never connected. */
  since: number | undefined;
}

export function presenceOf(device: Device): PresenceState {
  const { presence } = device;
  return { online: presence?.online ?? device.online, reason: presence?.reason ?? "", since: parseTime(presence?.since) };
}

export function presenceOfState(state: DeviceState): PresenceState {
  return { online: state.online ?? false, reason: state.reason ?? "", since: state.since || undefined };
}

export function mark(p: PresenceState): "online" | "offline" | "never" {
  if (p.online) return "online";
  return p.since === undefined && p.reason === "" ? "never" : "offline";
}

/** "Online for 3 min", "Offline for 2 h: keepalive timeout", "Never connected". */
export function sentence(p: PresenceState, now: number): string {
  const span = p.since === undefined ? "" : ` for ${duration(Math.max(0, now - p.since))}`;
  switch (mark(p)) {
    case "online":
      return `Online${span}`;
    case "offline":
      return `Offline${span}${p.reason ? `: ${p.reason}` : ""}`;
    default:
      return "Never connected";
  }
}
