// The connection events of a device in words.

import type { ConnectionEvent } from "../../lib/api/types";
import type { IconName } from "../../lib/components/Icon.svelte";
import { keepAliveText, protocolText } from "../../lib/connection";

export interface EventView {
  icon: IconName;
  /** good: it works; calm: as it should be; bad: somebody may have to look. */
  tone: "good" | "calm" | "bad";
  title: string;
  /** More about why, or "". */
  detail: string;
  /** From where and over what. */
  facts: string[];
}

// Ends that nobody has to look into.
const CALM: Record<string, string> = {
  disconnected: "Disconnected: the device said goodbye",
  "will requested": "Disconnected: the device said goodbye and asked for its will to be sent",
  "taken over by a new connection": "Replaced by a new connection of the same client",
  "disconnected by an administrator": "Disconnected by an operator",
  "server stopped": "Disconnected: the server was stopped",
};

export function eventView(e: ConnectionEvent, device: string): EventView {
  const facts = [e.address, protocolText(e.protocol, e.transport)];
  if (e.protocol) facts.push(keepAliveText(e.keepAlive ?? 0));
  if (e.clientId !== device) facts.push(e.clientId ? `client id ${e.clientId}` : "no client id");
  return { ...headOf(e), facts: facts.filter(Boolean) };
}

function headOf(e: ConnectionEvent): Omit<EventView, "facts"> {
  switch (e.kind) {
    case "connected":
      return { icon: "plug", tone: "good", title: "Connected", detail: "" };
    case "refused":
      return { icon: "key", tone: "bad", title: e.detail ? `Login refused: ${e.detail}` : "Login refused", detail: "" };
    default:
      return endOf(e.reason ?? "", e.detail ?? "");
  }
}

function endOf(reason: string, detail: string): Omit<EventView, "facts"> {
  const calm = CALM[reason];
  if (calm) return { icon: "logout", tone: "calm", title: calm, detail: "" };
  const title = reason ? `Disconnected: ${reason}` : "Disconnected";
  return { icon: "warning", tone: "bad", title, detail: reason.includes(detail) ? "" : detail };
}
