import { describe, expect, it } from "vitest";
import { devicePath, match, safeNext } from "./router.svelte";

describe("addresses", () => {
  it.each([
    ["/", { page: "fleet" }],
    ["/devices", { page: "fleet" }],
    ["/login", { page: "login" }],
    ["/connections", { page: "connections" }],
    ["/server/", { page: "server" }],
    ["/devices/pump-1", { page: "device", id: "pump-1" }],
    ["/devices/pump-1/other", { page: "missing", path: "/devices/pump-1/other" }],
    ["/devices/%E0%A4%A", { page: "missing", path: "/devices/%E0%A4%A" }],
    ["/nope", { page: "missing", path: "/nope" }],
  ])("%s is %o", (path, want) => {
    expect(match(path)).toEqual(want);
  });

  it("a device's path leads back to the device", () => {
    expect(match(devicePath("a.b_c-1"))).toEqual({ page: "device", id: "a.b_c-1" });
  });
});

describe("after logging in", () => {
  it.each([
    ["/devices/pump-1?range=24h", "/devices/pump-1?range=24h"],
    [null, "/"],
    ["https://elsewhere.example/", "/"],
    ["//elsewhere.example/", "/"],
    ["/\\elsewhere.example/", "/"],
    ["/login?next=/", "/"],
  ])("next=%s leads to %s, never to another site or round in a circle", (next, want) => {
    expect(safeNext(next)).toBe(want);
  });
});
