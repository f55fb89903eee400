import { describe, expect, it } from "vitest";
import { clientName, inFlightText, keepAliveText, plural, protocolText } from "./connection";

describe("a connection in words", () => {
  it("names protocol and transport", () => {
    expect(protocolText("5.0", "tls")).toBe("MQTT 5.0 over TLS");
    expect(protocolText("3.1.1", "wss")).toBe("MQTT 3.1.1 over secure WebSocket");
    expect(protocolText("5.0", undefined)).toBe("MQTT 5.0");
    expect(protocolText(undefined, undefined)).toBe("");
  });

  it("says when there is no keep-alive", () => {
    expect([keepAliveText(20), keepAliveText(0)]).toEqual(["keep-alive 20 s", "no keep-alive"]);
  });

  it.each([
    [0, 0, "0"],
    [3, 0, "3 in"],
    [0, 12, "12 out"],
    [1, 2, "1 in, 2 out"],
  ])("%i in and %i out are in flight: %s", (inFlightIn, inFlightOut, want) => {
    expect(inFlightText({ inFlightIn, inFlightOut })).toBe(want);
  });

  it("is called by its device, or by its account", () => {
    expect(clientName({ device: "pump-1", user: "pump-1" })).toBe("pump-1");
    expect(clientName({ user: "node-red" })).toBe("node-red");
    expect(clientName({ user: "" })).toBe("–");
  });

  it("one is one, all others are several", () => {
    expect([0, 1, 12_000].map((n) => plural(n, "message"))).toEqual(["0 messages", "1 message", "12,000 messages"]);
  });
});
