import { describe, expect, it } from "vitest";
import { Columns, gapAfter } from "./columns";

describe("the columns of a chart", () => {
  it("metrics read at different times share one time column", () => {
    const c = new Columns(["a", "b"]);
    c.load([{ metric: "a", t: [1, 3], v: [10, 30] }, { metric: "b", t: [2, 3], v: [200, 300] }], false);
    expect(c.table()).toEqual([[1, 2, 3], [10, null, 30], [null, 200, 300]]);
  });

  it("buckets have an average, a least and a most column for every metric", () => {
    const c = new Columns(["a"]);
    c.load([{ metric: "a", t: [0, 10], avg: [2, 3], min: [1, 1], max: [4, 5] }], true);
    expect(c.table()).toEqual([[0, 10], [2, 3], [1, 1], [4, 5]]);
  });

  it("a metric without an answer is empty, not missing", () => {
    const c = new Columns(["a", "b"]);
    c.load([{ metric: "a", t: [1], v: [1] }], false);
    expect(c.table()).toEqual([[1], [1], [null]]);
  });

  it("late and repeated live rows go where their time belongs", () => {
    const c = new Columns(["a", "b"]);
    c.add(1, { a: 1 });
    c.add(3, { a: 3, b: 30 });
    c.add(2, { a: 2 });
    c.add(3, { a: 4 });
    c.add(5, { other: 1 });
    expect(c.table()).toEqual([[1, 2, 3], [1, 2, 4], [null, null, 30]]);
  });

  it("live rows are not mixed with buckets", () => {
    const c = new Columns(["a"]);
    c.load([{ metric: "a", t: [0], avg: [2], min: [1], max: [4] }], true);
    expect(c.add(5, { a: 9 })).toBe(false);
  });

  it("trimming leaves the point before the edge", () => {
    const c = new Columns(["a"]);
    for (let t = 0; t < 100; t++) c.add(t, { a: t });
    c.trim(50);
    expect([c.t[0], c.values[0]![0], c.t.length]).toEqual([49, 49, 51]);
  });

  it("a gap is a pause five times as long as usual", () => {
    expect(gapAfter([0, 10, 20, 30, 100, 110], 1)).toBe(50);
    expect(gapAfter([0, 1, 2], 5000)).toBe(5000);
  });
});
