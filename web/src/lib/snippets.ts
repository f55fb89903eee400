// Commands that a person can copy to send the first reading of a device.

export interface Target {
  id: string;
  /** The device's token, or undefined where it is not known (it is shown once only). */
  token: string | undefined;
  host: string;
  mqttPort: number;
  /** "http://host:port" of this page. */
  origin: string;
  /** A payload like those the device sends. */
  payload: Record<string, unknown>;
}

export interface Snippet {
  key: string;
  title: string;
  code: string;
}

export const TOKEN_PLACE = "TOKEN";

export function snippetsOf(t: Target): Snippet[] {
  return [
    { key: "mosquitto", title: "mosquitto_pub", code: mosquitto(t) },
    { key: "curl", title: "curl", code: curl(t) },
    { key: "python", title: "Python", code: python(t) },
  ];
}

const shell = (s: string) => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replaceAll("'", `'\\''`)}'`);
const token = (t: Target) => t.token ?? TOKEN_PLACE;

function mosquitto(t: Target): string {
  return [
    `mosquitto_pub -h ${shell(t.host)} -p ${t.mqttPort} -i ${t.id} -u ${t.id} -P ${shell(token(t))} \\`,
    `  -t devices/${t.id}/telemetry -q 1 -m ${shell(JSON.stringify(t.payload))}`,
  ].join("\n");
}

/** A client that stays connected, and one that sends it a message; DEVICE and TOKEN stand for those of a device. */
export function watchCommands(host: string, port: number): { listen: string; send: string } {
  const login = `-h ${shell(host)} -p ${port} -u DEVICE -P ${TOKEN_PLACE}`;
  return {
    listen: `mosquitto_sub ${login} -t 'devices/DEVICE/#' -v`,
    send: `mosquitto_pub ${login} \\\n  -t devices/DEVICE/telemetry -q 1 -m '{"temperature":21.5}'`,
  };
}

function curl(t: Target): string {
  return [
    `curl ${shell(`${t.origin}/api/v1/devices/${t.id}/telemetry`)} \\`,
    `  -H ${shell(`Authorization: Bearer ${token(t)}`)} -H 'Content-Type: application/json' \\`,
    `  -d ${shell(JSON.stringify(t.payload))}`,
  ].join("\n");
}

function python(t: Target): string {
  return `import json
import paho.mqtt.publish as publish  # pip install paho-mqtt

# Returns when the reading is on the server's disk.
publish.single(
    "devices/${t.id}/telemetry",
    json.dumps(${pythonLiteral(t.payload)}),
    qos=1,
    hostname="${t.host}",
    port=${t.mqttPort},
    client_id="${t.id}",
    auth={"username": "${t.id}", "password": "${token(t)}"},
)`;
}

function pythonLiteral(payload: Record<string, unknown>): string {
  const value = (v: unknown) => (v === true ? "True" : v === false ? "False" : JSON.stringify(v));
  return `{${Object.entries(payload).map(([k, v]) => `${JSON.stringify(k)}: ${value(v)}`).join(", ")}}`;
}
