import { describe, expect, it } from "vitest";
import type { ConnectionEvent } from "../../lib/api/types";
import { eventView } from "./events";

const event = (change: Partial<ConnectionEvent>): ConnectionEvent => ({
  kind: "connected",
  time: "2026-11-22T22:00:00Z",
  count: 1,
  address: "10.0.0.7:52114",
  clientId: "pump-1",
  protocol: "5.0",
  transport: "tcp",
  keepAlive: 20,
  ...change,
});
const refused = { kind: "refused", protocol: undefined, transport: undefined, keepAlive: undefined } as unknown as Partial<ConnectionEvent>;

describe("a connection event", () => {
  it("tells from where and over what", () => {
    expect(eventView(event({}), "pump-1")).toEqual({
      icon: "plug",
      tone: "good",
      title: "Connected",
      detail: "",
      facts: ["10.0.0.7:52114", "MQTT 5.0 over TCP", "keep-alive 20 s"],
    });
  });

  it("names the client id where it is not the device's id", () => {
    expect(eventView(event({ clientId: "gateway" }), "pump-1").facts).toContain("client id gateway");
    expect(eventView(event({ clientId: "" }), "pump-1").facts).toContain("no client id");
  });

  it("is calm when the device said goodbye, and is not when the connection broke", () => {
    const goodbye = eventView(event({ kind: "disconnected", reason: "disconnected" }), "pump-1");
    expect([goodbye.tone, goodbye.title]).toEqual(["calm", "Disconnected: the device said goodbye"]);
    const lost = eventView(event({ kind: "disconnected", reason: "keepalive timeout" }), "pump-1");
    expect([lost.tone, lost.title]).toEqual(["bad", "Disconnected: keepalive timeout"]);
  });

  it("says a detail once", () => {
    const told = { kind: "disconnected", reason: "protocol error: packet type 15", detail: "packet type 15" } as const;
    expect(eventView(event(told), "pump-1").detail).toBe("");
    expect(eventView(event({ ...told, reason: "connection lost" }), "pump-1").detail).toBe("packet type 15");
  });

  it("says why a login was refused, and nothing of a protocol that is not known", () => {
    const view = eventView(event({ ...refused, detail: "the token is wrong" }), "pump-1");
    expect([view.tone, view.title, view.facts]).toEqual(["bad", "Login refused: the token is wrong", ["10.0.0.7:52114"]]);
  });
});
