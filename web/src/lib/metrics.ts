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

// Neither profiles nor the API say which metric of a device matters most, and
// a row of the fleet has room for four: so what people put a sensor up for
// comes first, and what it tells about itself and its place comes last.
const PURPOSE = [/temperature/i, /humidity/i, /flow/i, /pressure/i, /power$/i, /co2|level|speed|weight/i];
const ITSELF = /battery|rssi|snr|signal|uptime|latitude|longitude|^lat$|^lon$|^lng$|altitude|link|firmware|version|memory|heap/i;

/** Metrics in the order of showing: numbers before states, purpose first, those of the profile before strangers, then by name. */
export function sortMetrics<T extends { metric: string; kind: Kind }>(metrics: T[], profile: Profile | undefined): T[] {
  const rank = ({ metric, kind }: T) => {
    const purpose = PURPOSE.findIndex((p) => p.test(metric));
    const place = purpose >= 0 ? purpose : PURPOSE.length + (ITSELF.test(metric) ? 1 : 0);
    return (kind === "number" ? 0 : 100) + place * 2 + (profile?.metrics?.[metric] ? 0 : 1);
  };
  return metrics.sort((a, b) => rank(a) - rank(b) || (a.metric < b.metric ? -1 : 1));
}

/** Metrics that share a chart: those with the same unit, see {@link groupByUnit}. */
export interface Group {
  key: string;
  unit: string;
  metrics: MetricView[];
}

export const MAX_LINES = 6; // as many as there are colours

// One without a unit has a chart of its own. So has what a device tells about
// itself and its place: the line of a full battery only flattens that of the
// humidity, and a latitude says nothing beside a longitude.
function shares(m: MetricView): boolean {
  return m.unit !== "" && !ITSELF.test(m.metric);
}

/** Charts for the numbers among metrics, in their order. */
export function groupByUnit(metrics: readonly MetricView[]): Group[] {
  const groups: Group[] = [];
  for (const m of metrics) {
    if (m.kind !== "number") continue;
    const open = shares(m) ? groups.find((g) => g.unit === m.unit && shares(g.metrics[0]!) && g.metrics.length < MAX_LINES) : undefined;
    if (open) open.metrics.push(m);
    else groups.push({ key: m.metric, unit: m.unit, metrics: [m] });
  }
  return groups;
}
