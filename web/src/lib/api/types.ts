// The shapes of the API in the words of the UI. They come from the server's
// OpenAPI document: `npm run generate` after it changed.

import type { components } from "./types.gen";

type Schemas = components["schemas"];

export type Value = Schemas["Point"]["v"];
export type Kind = Schemas["DeviceMetric"]["kind"];

export type Device = Schemas["Device"];
export type NewDevice = Schemas["NewDevice"];
export type DeviceInput = Schemas["DeviceInput"];
export type DeviceChange = Schemas["DeviceChange"];
export type DevicePage = Schemas["DevicePage"];
/** A metric of a device with what its profile says about it; t and v are absent before its first reading. */
export type DeviceMetric = Schemas["DeviceMetric"];
export type DeviceMetrics = Schemas["DeviceMetrics"];

export type Profile = Schemas["Profile"];
export type ProfileList = Schemas["ProfileList"];
export type MetricInfo = Schemas["Metric"];

export type History = Schemas["History"];
export type Series = Schemas["Series"];
export type Ledger = Schemas["Drops"];

export type BrokerInfo = Schemas["BrokerInfo"];
/** One MQTT connection. */
export type Client = Schemas["Client"];
export type ClientPage = Schemas["ClientPage"];
/** What happened to a connection of a device, or a refused login with its id. */
export type ConnectionEvent = Schemas["Event"];
export type ConnectionEvents = Schemas["Events"];

export type User = Schemas["User"];
export type Session = Schemas["Session"];
export type Token = Schemas["Token"];
export type Stats = Schemas["Stats"];
export type StorageInfo = Schemas["Storage"];
export type ServerInfo = Schemas["Info"];
export type ProblemDocument = Schemas["Problem"];
