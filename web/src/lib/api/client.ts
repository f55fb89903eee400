// One way to call the API: JSON in and out, problem documents as Problem, and
// one place that hears when the session has ended.

import type { ProblemDocument } from "./types";

/** A refused call: what the server says about it (RFC 9457), or status 0 when there was no answer. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly fields: readonly { message: string }[] = [],
  ) {
    super(message);
    this.name = "Problem";
  }
}

let sessionEnded: () => void = () => {};

/** Names the one function to call when an answer says that nobody is logged in. */
export function onSessionEnded(f: () => void): void {
  sessionEnded = f;
}

export type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

export function get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  return call<T>("GET", path + queryString(query), undefined, signal);
}

export function post<T>(path: string, body?: unknown): Promise<T> {
  return call<T>("POST", path, body);
}

export function patch<T>(path: string, body: unknown): Promise<T> {
  return call<T>("PATCH", path, body);
}

export function del(path: string): Promise<void> {
  return call<void>("DELETE", path);
}

/** "?a=1&b=x&b=y"; undefined and empty texts are left out. */
export function queryString(query: Query): string {
  const q = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === "") continue;
    for (const v of Array.isArray(value) ? value : [value]) q.append(key, String(v));
  }
  const text = q.toString();
  return text && `?${text}`;
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(method, path, body, signal);
  if (response.status === 401 && path !== "/api/v1/login") sessionEnded();
  if (!response.ok) throw await problemOf(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

async function send(method: string, path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  const init: RequestInit = { method, headers: { Accept: "application/json" }, credentials: "same-origin" };
  if (signal) init.signal = signal;
  if (body !== undefined) {
    init.headers = { ...init.headers, "Content-Type": method === "PATCH" ? "application/merge-patch+json" : "application/json" };
    init.body = JSON.stringify(body);
  }
  try {
    return await fetch(path, init);
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new Problem(0, "unreachable", "The server did not answer. Is it running, and is the network up?");
  }
}

async function problemOf(response: Response): Promise<Problem> {
  const fallback = `The server answered ${response.status} ${response.statusText}.`;
  try {
    const doc = (await response.json()) as Partial<ProblemDocument>;
    return new Problem(response.status, doc.code ?? "", doc.detail || doc.title || fallback, doc.errors ?? []);
  } catch {
    return new Problem(response.status, "", fallback);
  }
}

/** What to tell a person about something that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof Problem && error.fields.length > 0) {
    return [error.message, ...error.fields.map((f) => f.message)].join(" ");
  }
  return error instanceof Error ? error.message : String(error);
}
