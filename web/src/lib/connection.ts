// An MQTT connection in words.

import type { Client } from "./api/types";
import { NONE } from "./format";

const TRANSPORTS: Record<Client["transport"], string> = { tcp: "TCP", tls: "TLS", ws: "WebSocket", wss: "secure WebSocket" };

/** "MQTT 5.0 over TLS"; empty for a login that was refused before both were known. */
export function protocolText(protocol: Client["protocol"] | undefined, transport: Client["transport"] | undefined): string {
  if (!protocol) return "";
  return `MQTT ${protocol}${transport ? ` over ${TRANSPORTS[transport]}` : ""}`;
}

export function keepAliveText(seconds: number): string {
  return seconds > 0 ? `keep-alive ${seconds} s` : "no keep-alive";
}

/** Messages on their way in either direction: "0", "3 in", "1 in, 12 out". */
export function inFlightText(c: Pick<Client, "inFlightIn" | "inFlightOut">): string {
  const parts = [];
  if (c.inFlightIn > 0) parts.push(`${c.inFlightIn} in`);
  if (c.inFlightOut > 0) parts.push(`${c.inFlightOut} out`);
  return parts.join(", ") || "0";
}

/** "1 subscription", "3 subscriptions". */
export function plural(n: number, one: string): string {
  return `${n.toLocaleString("en-US")} ${one}${n === 1 ? "" : "s"}`;
}

/** What a client is called: its device, or the account of a service. */
export function clientName(c: Pick<Client, "device" | "user">): string {
  return c.device ?? (c.user || NONE);
}
