// How a line chart of Trefoil is set up in uPlot.

import uPlot from "uplot";
import { pauses } from "../columns";
import { timeLabels, valueLabels, valueRange } from "./axis";

export interface Line {
  label: string;
  decimals?: number | undefined;
}

export interface ChartSetup {
  lines: readonly Line[];
  /** Whether the value axis begins at zero. */
  fromZero: boolean;
  /** Three columns for every line (average, least, most) instead of one. */
  banded: boolean;
  /** Charts with the same key share their cursor. */
  syncKey: string;
  width: number;
  height: number;
  window(): [number, number];
  /** The shortest pause that is drawn as a gap, ms. */
  gap(): number;
  onselect(from: number, to: number): void;
  onreset(): void;
  oncursor(index: number | null): void;
}

/** Room for the labels of the value axis and on the right, so that charts and state strips above each other align. */
export const AXIS_WIDTH = 60;
export const RIGHT = 28;

// Lines differ by their dashes as well as by their colour.
const DASHES: number[][] = [[], [7, 3], [2, 3], [9, 3, 2, 3], [4, 2], [1, 2]];

export function dashOf(line: number): number[] {
  return DASHES[line % DASHES.length]!;
}

export function colourOf(line: number): string {
  return css(`--series-${(line % 6) + 1}`);
}

function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export function optionsOf(setup: ChartSetup): uPlot.Options {
  const font = `${getComputedStyle(document.body).fontSize} system-ui, sans-serif`;
  const axis: uPlot.Axis = {
    stroke: () => css("--muted"),
    grid: { stroke: () => css("--line"), width: 1 },
    ticks: { show: false },
    font,
  };
  return {
    width: setup.width,
    height: setup.height,
    ms: 1,
    padding: [8, RIGHT, 0, 0],
    legend: { show: false },
    scales: {
      x: { time: true, range: () => setup.window() },
      y: { range: (_, low, high) => valueRange(setup.fromZero && low !== null ? Math.min(0, low) : low, high, leastDecimals(setup.lines)) },
    },
    axes: [
      { ...axis, space: 84, size: 44, values: (_u, splits, _i, _s, step) => timeLabels(splits, step, setup.window()[0]) },
      { ...axis, space: 36, size: (_u, labels) => axisWidth(labels), values: (_u, splits, _i, _s, step) => valueLabels(splits, step) },
    ],
    series: [{}, ...seriesOf(setup)],
    bands: setup.banded ? setup.lines.map((_, i) => bandOf(i)) : [],
    cursor: cursorOf(setup),
    hooks: {
      setCursor: [(u) => setup.oncursor(u.cursor.idx ?? null)],
      setSelect: [(u) => selected(u, setup)],
    },
  };
}

// Labels that are longer than usual get the room that they need.
function axisWidth(labels: string[] | null): number {
  const longest = Math.max(0, ...(labels ?? []).map((l) => l.length));
  return Math.max(AXIS_WIDTH, longest * parseFloat(getComputedStyle(document.body).fontSize) * 0.58 + 14);
}

function leastDecimals(lines: readonly Line[]): number | undefined {
  const known = lines.flatMap((l) => (l.decimals === undefined ? [] : [l.decimals]));
  return known.length > 0 ? Math.max(...known) : undefined;
}

function seriesOf(setup: ChartSetup): uPlot.Series[] {
  const gaps: uPlot.Series.GapsRefiner = (u, column, from, to) => gapsOf(u, column, from, to, setup.gap());
  return setup.lines.flatMap((line, i) => {
    const stroke = () => colourOf(i);
    const main: uPlot.Series = { label: line.label, stroke, width: 1.75, dash: dashOf(i), gaps, points: { size: 4 } };
    if (!setup.banded) return [main];
    const edge: uPlot.Series = { width: 0, gaps, points: { show: false } };
    return [main, { ...edge, label: `${line.label} min` }, { ...edge, label: `${line.label} max` }];
  });
}

function bandOf(line: number): uPlot.Band {
  const min = line * 3 + 2;
  return { series: [min + 1, min], fill: () => `color-mix(in srgb, ${colourOf(line)} 20%, transparent)` };
}

function gapsOf(u: uPlot, column: number, from: number, to: number, least: number): [number, number][] {
  const times = u.data[0];
  const at = (index: number) => u.valToPos(times[index]!, "x", true);
  return pauses(times as number[], u.data[column]!, from, to, least).map(([a, b]) => [at(a), at(b)]);
}

function cursorOf(setup: ChartSetup): uPlot.Cursor {
  // Only the place of the cursor is shared; a zoom is told to the page once,
  // and the page changes all charts.
  const shared = (type: string) => type === "mousemove" || type === "mouseleave";
  return {
    y: false,
    drag: { x: true, y: false, setScale: false },
    focus: { prox: -1 },
    points: { size: 7 },
    bind: {
      dblclick: () => () => {
        setup.onreset();
        return null;
      },
    },
    sync: { key: setup.syncKey, setSeries: false, filters: { pub: shared, sub: shared } },
  };
}

function selected(u: uPlot, setup: ChartSetup): void {
  const { left, width } = u.select;
  if (width < 5) return;
  const [from, to] = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  setup.onselect(from, to);
}
