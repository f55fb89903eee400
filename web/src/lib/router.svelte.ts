// Addresses to pages, with the browser's history.

/** A page with the parameters of its path. */
export type Route =
  | { page: "fleet" }
  | { page: "device"; id: string }
  | { page: "connections" }
  | { page: "server" }
  | { page: "storage" }
  | { page: "login" }
  | { page: "missing"; path: string };

/** The page of a path. */
export function match(path: string): Route {
  const parts = path.split("/").filter(Boolean);
  if (parts.length === 0) return { page: "fleet" };
  if (parts.length === 1 && parts[0] === "devices") return { page: "fleet" };
  if (parts.length === 1 && parts[0] === "login") return { page: "login" };
  if (parts.length === 1 && parts[0] === "connections") return { page: "connections" };
  if (parts.length === 1 && parts[0] === "server") return { page: "server" };
  if (parts.length === 1 && parts[0] === "storage") return { page: "storage" };
  if (parts.length === 2 && parts[0] === "devices") {
    const id = decoded(parts[1]!);
    if (id) return { page: "device", id };
  }
  return { page: "missing", path };
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

export function devicePath(id: string): string {
  return `/devices/${encodeURIComponent(id)}`;
}

/** Where to go after logging in: a path of this site, never another one. */
export function safeNext(next: string | null): string {
  return next && /^\/(?![/\\])/.test(next) && !next.startsWith("/login") ? next : "/";
}

export class Router {
  path = $state(location.pathname);
  query = $state.raw(new URLSearchParams(location.search));
  route = $derived(match(this.path));

  constructor() {
    addEventListener("popstate", () => this.read());
    document.addEventListener("click", (event) => this.click(event));
  }

  go(url: string, replace = false): void {
    history[replace ? "replaceState" : "pushState"](null, "", url);
    const before = this.path;
    this.read();
    if (this.path !== before) scrollTo(0, 0);
  }

  /** Changes the query of this page; undefined removes a key. */
  setQuery(change: Record<string, string | undefined>, replace = false): void {
    const q = new URLSearchParams(this.query);
    for (const [key, value] of Object.entries(change)) {
      if (value === undefined || value === "") q.delete(key);
      else q.set(key, value);
    }
    const text = q.toString();
    this.go(this.path + (text && `?${text}`), replace);
  }

  private read(): void {
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }

  private click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.("a[href]");
    if (!(link instanceof HTMLAnchorElement) || link.target || link.hasAttribute("download")) return;
    if (link.origin !== location.origin || link.pathname.startsWith("/api/") || link.dataset["reload"] !== undefined) return;
    event.preventDefault();
    this.go(link.pathname + link.search + link.hash);
  }
}
