// What is known about a metric: from its profile where there is one, else
// from its name and its values.

import type { Kind, MetricInfo, Profile, Value } from "./api/types";
import { metricLabel } from "./format";

export interface MetricView {
  metric: string;
  label: string;
  unit: string;
  decimals: number | undefined;
  kind: Kind;
}

export function kindOf(v: Value | undefined): Kind {
  return typeof v === "boolean" ? "boolean" : typeof v === "string" ? "text" : "number";
}

export function metricView(metric: string, info: MetricInfo | undefined, value: Value | undefined): MetricView {
  return {
    metric,
    label: info?.label || metricLabel(metric),
    unit: info?.unit ?? "",
    decimals: info?.decimals,
    kind: value === undefined ? (info?.kind ?? "number") : kindOf(value),
  };
}

/** Metrics in the order of showing: those of the profile in its order, then the others by name; numbers before states. */
export function sortMetrics<T extends { metric: string; kind: Kind }>(metrics: T[], profile: Profile | undefined): T[] {
  const order = new Map(Object.keys(profile?.metrics ?? {}).map((name, i) => [name, i]));
  const rank = (m: T) => (m.kind === "number" ? 0 : 10_000) + (order.get(m.metric) ?? 1000);
  return metrics.sort((a, b) => rank(a) - rank(b) || (a.metric < b.metric ? -1 : 1));
}

/** Metrics that share a chart: those with the same unit; one without a unit has a chart of its own. */
export interface Group {
  key: string;
  unit: string;
  metrics: MetricView[];
}

export const MAX_LINES = 6; // as many as there are colours

export function groupByUnit(metrics: readonly MetricView[]): Group[] {
  const groups: Group[] = [];
  for (const m of metrics) {
    if (m.kind !== "number") continue;
    const open = m.unit ? groups.find((g) => g.unit === m.unit && g.metrics.length < MAX_LINES) : undefined;
    if (open) open.metrics.push(m);
    else groups.push({ key: m.metric, unit: m.unit, metrics: [m] });
  }
  return groups;
}
