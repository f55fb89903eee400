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

// Reasons that need more words to be a sentence.
const REASONS: Record<string, string> = { disconnected: "the device disconnected" };

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

/**
 * "Online for 3 min", "Offline for 2 h: keepalive timeout", "Never connected".
 * A device that never had a connection and has readings can only have posted them.
 */
export function sentence(p: PresenceState, now: number, hasReadings = false): string {
  const age = p.since === undefined ? 0 : now - p.since;
  const span = p.since === undefined ? "" : age < 2000 ? " since just now" : ` for ${duration(age)}`;
  switch (mark(p)) {
    case "online":
      return `Online${span}`;
    case "offline":
      return `Offline${span}${p.reason ? `: ${REASONS[p.reason] ?? p.reason}` : ""}`;
    default:
      return hasReadings ? "Sends by HTTP, without a connection" : "Never connected";
  }
}

/**
 * What the page of a device says: the server's explanation, or the sentence
 * above while there is none. One that only posts has no connection to explain.
 */
export function explained(p: PresenceState, explanation: string, now: number, hasReadings = false): string {
  if (!explanation) return sentence(p, now, hasReadings);
  return mark(p) === "never" && hasReadings ? `Sends by HTTP. ${explanation}` : explanation;
}
