// The ledger's reasons in words.

const LABELS: Record<string, string> = {
  malformed_payload: "Payload is not what it says",
  foreign_topic: "Topic that belongs to others",
  unknown_topic: "Topic that does not exist",
  too_large: "Too large",
  too_many_metrics: "Too many metrics",
  rate_limit: "Too fast",
  queue_full: "Queue was full",
  unknown_device: "Device was deleted meanwhile",
  server_stopping: "Server was stopping",
  clock_ahead: "Clock ahead: stored with the time of arrival",
};

export function reasonLabel(reason: string): string {
  return LABELS[reason] ?? reason.replaceAll("_", " ");
}
