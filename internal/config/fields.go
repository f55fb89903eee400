package config

import (
	"strings"
	"time"
)

// envPrefix begins every variable of ours.
const envPrefix = "TREFOIL_"

// field ties one setting to its names. Its value writes into the Config that
// the table was made for.
type field struct {
	key   string // in the file, sections joined by dots
	env   string
	flag  string // "" when there is none
	help  string
	value value
}

// fields is the table of everything that can be set, in the order in which
// `trefoil config` shows it.
func fields(c *Config) []field {
	l, t := &c.Limits, &c.MQTT.TLS
	rows := []field{
		{key: "data", flag: "--data", value: text{&c.Data}, help: "directory of everything that the server keeps"},
		{key: "store.url", env: "TREFOIL_STORE", flag: "--store", value: storeURL{&c.Store.URL}, help: "database: sqlite, or postgres://user:password@host/database"},
		{key: "http.address", env: "TREFOIL_HTTP", flag: "--http", value: address{&c.HTTP.Address}, help: "web UI, REST and live WebSocket"},
		{key: "http.tls.certificate", value: path{&c.HTTP.TLS.Certificate}, help: "PEM file; with it the port speaks HTTPS"},
		{key: "http.tls.key", value: path{&c.HTTP.TLS.Key}, help: "PEM file of the certificate's private key"},
		{key: "mqtt.address", env: "TREFOIL_MQTT", flag: "--mqtt", value: address{&c.MQTT.Address}, help: "MQTT for devices"},
		{key: "mqtt.tls.address", env: "TREFOIL_MQTTS", flag: "--mqtts", value: optionalAddress{&t.Address}, help: "MQTT over TLS for devices"},
		{key: "mqtt.tls.certificate", value: path{&t.Certificate}, help: "PEM file of the server's certificate, its chain behind it"},
		{key: "mqtt.tls.key", value: path{&t.Key}, help: "PEM file of the certificate's private key"},
		{key: "mqtt.tls.client_ca", value: path{&t.ClientCA}, help: "PEM file of the authorities that sign devices' certificates"},
		{key: "mqtt.tls.client_certificates", value: choice{&t.ClientCertificates, []string{"none", "optional", "required"}}, help: "whether devices log in with certificates"},
		{key: "limits.packet", value: size{&l.Packet, 1 << 10, 256 << 20}, help: "largest MQTT packet and HTTP request body"},
		{key: "limits.payload", value: size{&l.Payload, 1 << 10, 256 << 20}, help: "largest telemetry payload"},
		{key: "limits.metrics", value: count{&l.Metrics, 1, 100_000}, help: "metrics per device"},
		{key: "limits.queue", value: count{&l.Queue, 16, 10_000_000}, help: "messages that wait for a commit"},
		{key: "limits.connections", value: count{&l.Connections, 1, 10_000_000}, help: "MQTT connections at the same time"},
		{key: "limits.connections_per_address", value: count{&l.PerAddress, 1, 10_000_000}, help: "of those from one address"},
		{key: "limits.connects_per_second", value: count{&l.Accepts, 1, 1_000_000}, help: "new MQTT connections per second"},
		{key: "limits.messages_per_second", value: count{&l.MessageRate, 0, 1_000_000}, help: "publishes per second of one MQTT client; 0: no limit"},
		{key: "limits.bytes_per_second", value: size{&l.ByteRate, 0, 1 << 30}, help: "payload bytes per second of one MQTT client; 0: no limit"},
		{key: "limits.subscriptions", value: count{&l.Subscriptions, 1, 1_000_000}, help: "subscriptions of one MQTT session"},
		{key: "limits.session_queue", value: count{&l.SessionQueue, 1, 10_000_000}, help: "QoS 1 and 2 messages that wait for one MQTT session; then the oldest is dropped"},
		{key: "limits.connect_timeout", value: duration{&l.ConnectTimeout, minTimeout, maxTimeout}, help: "time for a client to send CONNECT"},
		{key: "limits.shutdown", value: duration{&l.Shutdown, minTimeout, maxTimeout}, help: "longest time for a clean stop"},
		{key: "retention.raw", value: retain{&c.Retain.Raw, "forever"}, help: "how long readings are kept, unless a profile says it"},
		{key: "retention.hourly", value: retain{&c.Retain.Hourly, "none"}, help: "how long summaries of hours are kept when the readings are gone"},
		{key: "retention.max_disk", value: percent{&c.Retain.MaxDisk}, help: "when the disk is fuller, the oldest months go"},
		{key: "backup.directory", value: directory{&c.Backup.Directory}, help: "where copies of the database are made by schedule"},
		{key: "backup.every", value: duration{&c.Backup.Every, time.Minute, 366 * 24 * time.Hour}, help: "time between two of them"},
		{key: "backup.keep", value: count{&c.Backup.Keep, 1, 10_000}, help: "how many of them are kept"},
		{key: "log.level", flag: "--log-level", value: level{&c.Log.Level}, help: "what is logged"},
		{key: "log.format", flag: "--log-format", value: choice{&c.Log.Format, []string{"text", "json"}}, help: "how it is logged"},
	}
	for i := range rows {
		if rows[i].env == "" {
			rows[i].env = envPrefix + strings.ToUpper(strings.ReplaceAll(rows[i].key, ".", "_"))
		}
	}
	return rows
}

// children gives the names that may stand below the section, "" for the top
// of the file, in the order of the table.
func children(rows []field, section string) []string {
	var names []string
	for _, f := range rows {
		rest := f.key
		if section != "" {
			var below bool
			if rest, below = strings.CutPrefix(f.key, section+"."); !below {
				continue
			}
		}
		name, _, _ := strings.Cut(rest, ".")
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

func find(rows []field, key string) (field, bool) {
	for _, f := range rows {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}
