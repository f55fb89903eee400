// Package config gathers the settings of a Trefoil process from four places,
// each stronger than the one before: the defaults, a YAML file, the
// environment (TREFOIL_…) and the flags of the command line.
//
// It is strict: a key that does not exist and a value that cannot be are
// faults that name place, key and what is allowed. All faults are collected,
// so that one start shows all of them. [Load] is pure but for reading the
// files that it is told about; nothing is global.
//
// A new setting is a field of [Config], its default in [Default] and its row
// in the table of fields.go; file, environment, `trefoil config` and the error
// texts follow from the row.
package config

import (
	"log/slog"
	"time"
)

// Config is every setting of a process. [Load] returns only valid ones.
type Config struct {
	Data   string // directory of everything that the server keeps; made when missing
	Store  Store
	HTTP   HTTP
	MQTT   MQTT
	Limits Limits
	Retain Retain
	Backup Backup
	Log    Log
	Admin  Admin
}

// Store says which database holds everything.
type Store struct {
	// URL is "sqlite" (the file trefoil.db in the data directory) or
	// postgres://user:password@host/database.
	URL string
}

// HTTP is the port of the web UI, the REST API and the live WebSocket.
type HTTP struct {
	Address string // host:port; without host all interfaces; port 0 takes a free one
	TLS     Pair   // with it the port speaks HTTPS and secure WebSocket only
}

// Pair names the PEM files of a certificate and its key; both are empty
// without TLS.
type Pair struct {
	Certificate string
	Key         string
}

// MQTT is the port of devices.
type MQTT struct {
	Address string // as in [HTTP]
	TLS     MQTTTLS
}

// MQTTTLS is the port of devices that use TLS.
type MQTTTLS struct {
	Address string // "" for none
	Pair
	ClientCA           string // PEM file of the authorities of client certificates; "" for none
	ClientCertificates string // "none", "optional" or "required"
}

// Limits bound what a client can make the server hold. All are positive
// but for the two rates.
type Limits struct {
	Packet         Size          // largest MQTT packet and HTTP request body
	Payload        Size          // largest telemetry payload; at most Packet
	Metrics        int           // metrics per device
	Queue          int           // messages that wait for a commit
	Connections    int           // MQTT connections at the same time
	PerAddress     int           // of those from one address
	Accepts        int           // new MQTT connections per second
	MessageRate    int           // publishes per second of one MQTT client; 0: no limit
	ByteRate       Size          // payload bytes per second of one MQTT client; 0: no limit
	Subscriptions  int           // of one MQTT session
	SessionQueue   int           // QoS 1 and 2 messages that wait for one MQTT session
	ConnectTimeout time.Duration // from accepting a socket to its CONNECT
	Shutdown       time.Duration // a clean stop takes at most this long
}

// Retain says how long readings are kept where no profile says it.
type Retain struct {
	Raw     Span    // the readings; 0: for ever
	Hourly  Span    // summaries of hours, when the readings are gone; 0: none
	MaxDisk float64 // share of the disk above which the oldest months go; 0: never
}

// Backup is about copies of the database that the server makes by itself.
type Backup struct {
	Directory string // "" for none
	Every     time.Duration
	Keep      int // copies, the latest
}

// Log says what is logged, and how.
type Log struct {
	Level  slog.Level
	Format string // "text" or "json"
}

// Admin is about the first administrator, who is made at the first start.
type Admin struct {
	// Password comes from TREFOIL_ADMIN_PASSWORD or from the file that
	// TREFOIL_ADMIN_PASSWORD_FILE names. Empty: the server makes a random one
	// and prints it once.
	Password string
}

// Default gives the settings of a start without any configuration.
func Default() Config {
	return Config{
		Data:  "./trefoil-data",
		Store: Store{URL: "sqlite"},
		HTTP:  HTTP{Address: ":8080"},
		MQTT:  MQTT{Address: ":1883", TLS: MQTTTLS{ClientCertificates: "none"}},
		Limits: Limits{
			Packet:         1 << 20,
			Payload:        256 << 10,
			Metrics:        500,
			Queue:          16384,
			Connections:    50000,
			PerAddress:     20_000,
			Accepts:        5_000,
			Subscriptions:  1_000,
			SessionQueue:   10_000,
			ConnectTimeout: 10 * time.Second,
			Shutdown:       10 * time.Second,
		},
		Retain: Retain{MaxDisk: 0.8},
		Backup: Backup{Every: 24 * time.Hour, Keep: 7},
		Log:    Log{Level: slog.LevelInfo, Format: "text"},
	}
}
