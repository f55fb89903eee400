import { describe, expect, it } from "vitest";
import { worthAsking } from "./remembered";

describe("the server is asked who is logged in", () => {
  it.each([
    ["fleet", true, false, true, "because there was a session"],
    ["login", true, false, true, "on the login page too, to go on from there"],
    ["fleet", false, false, false, "not where nobody has logged in"],
    ["device", false, false, false, "not on a deep link either"],
    ["fleet", false, true, true, "after a login link has led here"],
    ["login", false, true, false, "not after a login link that was too old"],
    ["fleet", undefined, false, true, "where the browser keeps no notes"],
    ["fleet", false, undefined, true, "where the browser does not tell of redirects"],
    ["login", undefined, undefined, false, "never on a login page without a note"],
  ])("page %s, note %s, redirect %s: %s, %s", (page, note, redirect, want, _why) => {
    expect(worthAsking(page, note, redirect)).toBe(want);
  });
});
