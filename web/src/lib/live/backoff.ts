/**
 * How long to wait before attempt n (0 is the first after a loss): doubling
 * from half a second up to 15 s, between half and all of it by random (0…1),
 * so that the browsers of a whole control room do not come back in one moment.
 */
export function backoff(attempt: number, random: number): number {
  const full = Math.min(15_000, 500 * 2 ** Math.min(attempt, 10));
  return Math.round(full * (0.5 + random / 2));
}
