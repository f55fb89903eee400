import type { ServerInfo, Session, Stats, User } from "./types";
import { get, post } from "./client";

export const server = {
  info: (signal?: AbortSignal) => get<ServerInfo>("/api/v1/server", {}, signal),
  stats: (signal?: AbortSignal) => get<Stats>("/api/v1/stats", {}, signal),
};

export const account = {
  me: () => get<User>("/api/v1/me"),
  login: (username: string, password: string) => post<Session>("/api/v1/login", { username, password }),
  logout: () => post<void>("/api/v1/logout"),
};
