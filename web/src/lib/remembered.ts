// Whether this browser probably has a session. Its cookie is hidden from
// scripts, and asking the server without one puts a 401 on the console, so a
// note in the browser's storage tells.

const KEY = "trefoil.session";

/** Notes that a session has begun or ended. */
export function remember(session: boolean): void {
  try {
    if (session) localStorage.setItem(KEY, "1");
    else localStorage.removeItem(KEY);
  } catch {
    // Storage is off; then the server is asked.
  }
}

/** Whether there is a note; undefined where the browser keeps none. */
export function remembered(): boolean | undefined {
  try {
    return localStorage.getItem(KEY) !== null;
  } catch {
    return undefined;
  }
}

/** Whether the server led here from another address, as a login link does; undefined where the browser does not say. */
export function redirected(): boolean | undefined {
  const [entry] = performance.getEntriesByType("navigation");
  return entry instanceof PerformanceNavigationTiming ? entry.redirectCount > 0 : undefined;
}

/**
 * Whether to ask the server who is logged in. A login link sets the cookie and
 * leads to the fleet page, so there is no note yet, but there was a redirect.
 * On the login page nothing but a note is a reason to ask.
 */
export function worthAsking(page: string, note: boolean | undefined, redirect: boolean | undefined): boolean {
  if (note === true) return true;
  return page !== "login" && (note === undefined || redirect !== false);
}
