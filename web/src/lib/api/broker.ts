import type { BrokerInfo, ClientPage } from "./types";
import { del, get } from "./client";

export interface ClientQuery {
  q?: string;
  limit?: number;
  cursor?: string;
}

export const broker = {
  info: (signal?: AbortSignal) => get<BrokerInfo>("/api/v1/broker", {}, signal),
  clients: (query: ClientQuery, signal?: AbortSignal) => get<ClientPage>("/api/v1/broker/clients", { ...query }, signal),
  disconnect: (session: string) => del(`/api/v1/broker/clients/${encodeURIComponent(session)}`),
};
