import { get } from "./client";
import type { StorageInfo } from "./types";

export const storage = {
  info: (signal?: AbortSignal) => get<StorageInfo>("/api/v1/storage", {}, signal),
};
