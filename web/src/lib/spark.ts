// The small lines beside values.

/**
 * An SVG path of v over t that fills width × height with a 2 px margin. The
 * right edge is the newest time, the left edge span earlier, or the first time
 * where less is known; a gap longer than a fifth of the span breaks the line.
 * A flat line runs through the middle.
 */
export function sparkPath(t: readonly number[], v: readonly number[], span: number, width: number, height: number): string {
  const end = t[t.length - 1];
  if (end === undefined) return "";
  let first = t.length - 1;
  while (first > 0 && t[first - 1]! >= end - span) first--;
  if (t.length - first < 2) return "";
  const start = t[first]!;
  const [low, high] = extent(v, first);
  const x = (time: number) => 2 + ((time - start) / (end - start)) * (width - 4);
  const y = (value: number) => (high === low ? height / 2 : height - 2 - ((value - low) / (high - low)) * (height - 4));
  let path = "";
  for (let i = first; i < t.length; i++) {
    const pen = i === first || t[i]! - t[i - 1]! > span / 5 ? "M" : "L";
    path += `${pen}${x(t[i]!).toFixed(1)} ${y(v[i]!).toFixed(1)}`;
  }
  return path;
}

function extent(v: readonly number[], from: number): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (let i = from; i < v.length; i++) {
    if (v[i]! < low) low = v[i]!;
    if (v[i]! > high) high = v[i]!;
  }
  return [low, high];
}

/** The last readings of one metric, in order of time, at most `limit` of them and none older than `span`. */
export class Trace {
  readonly t: number[] = [];
  readonly v: number[] = [];

  constructor(
    readonly span: number,
    readonly limit = 240,
  ) {}

  /** Adds a reading; one with a known time replaces the value there. */
  add(time: number, value: number): void {
    let i = this.t.length;
    while (i > 0 && this.t[i - 1]! > time) i--;
    if (i > 0 && this.t[i - 1] === time) {
      this.v[i - 1] = value;
      return;
    }
    this.t.splice(i, 0, time);
    this.v.splice(i, 0, value);
    this.trim();
  }

  private trim(): void {
    const oldest = this.t[this.t.length - 1]! - this.span;
    let cut = Math.max(0, this.t.length - this.limit);
    while (this.t[cut]! < oldest) cut++;
    if (cut > 0) {
      this.t.splice(0, cut);
      this.v.splice(0, cut);
    }
  }
}
