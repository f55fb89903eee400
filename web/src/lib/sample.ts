// A payload that looks like what a device of a profile sends.

import type { MetricInfo, Profile } from "./api/types";

export function samplePayload(profile: Profile | undefined): Record<string, unknown> {
  const entries = Object.entries(profile?.metrics ?? {}).slice(0, 3);
  if (entries.length === 0) return { temperature: 21.5 };
  return Object.fromEntries(entries.map(([metric, info]) => [metric, sampleValue(info)]));
}

function sampleValue(info: MetricInfo): unknown {
  if (info.kind === "boolean") return true;
  if (info.kind === "text") return "ok";
  const middle = ((info.min ?? 0) + (info.max ?? 43)) / 2;
  return Number(middle.toFixed(info.decimals ?? 1));
}
