import { describe, expect, it } from "vitest";
import { Columns, pauses } from "./columns";

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

});

describe("a gap", () => {
  const gaps = (t: number[], column: (number | null)[], least = 1) => pauses(t, column, 0, t.length - 1, least);

  it("is a pause five times as long as what is around it", () => {
    expect(gaps([0, 10, 20, 100, 110], [1, 1, 1, 1, 1])).toEqual([[2, 3]]);
  });

  it("is not where a device begins to read more often", () => {
    expect(gaps([0, 60, 120, 140, 143, 146], [1, 1, 1, 1, 1, 1])).toEqual([]);
  });

  it("is not where another metric was read", () => {
    expect(gaps([0, 5, 10, 15, 20], [1, null, 1, null, 1])).toEqual([]);
  });

  it("is never shorter than the least", () => {
    expect(gaps([0, 10, 20, 100, 110], [1, 1, 1, 1, 1], 80)).toEqual([]);
  });
});
