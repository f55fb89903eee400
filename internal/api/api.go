// Package api is everything that Trefoil says over HTTP: the REST routes with
// their OpenAPI document, the browsable documentation, health, the web UI, and
// the doors to the live protocol and to MQTT over WebSocket, which others
// speak. It decides who may do what; what is done is decided elsewhere.
package api

import (
	"context"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/trefoil-iot/trefoil/internal/auth"
)

// Deps are what the routes need. Handlers that are nil have no route; all
// other fields are needed.
type Deps struct {
	Devices   Devices
	Profiles  Profiles
	Accounts  Accounts
	Keys      Keys
	Telemetry Telemetry
	Payload   Payload
	History   History
	Changes   Changes // may be nil: nothing is cached then
	Latest    Latest
	Ledger    Ledger
	System    System
	Broker    Broker
	Journal   Journal
	Storage   Storage
	Copier    Copier // nil where the database makes backups by itself

	Live    Live         // /api/v1/live and /api/v1/live/events, for users only
	MQTT    http.Handler // WebSocket /mqtt, which authenticates by itself
	Metrics http.Handler // /metrics
	UI      fs.FS        // built web UI with index.html at its root; may be nil

	Log *slog.Logger
	Now func() time.Time

	// MaxDisk is the share of the disk above which old readings go.
	MaxDisk float64

	// MaxTelemetryBody bounds a telemetry post in bytes; 0 means 1 MiB.
	MaxTelemetryBody int64
}

// server has the handlers.
type server struct {
	Deps
	origin *http.CrossOriginProtection
}

// New gives the handler for everything on the HTTP port.
func New(d Deps) (http.Handler, error) {
	s := newServer(d)
	r := newRouter(s)
	s.routes(r)
	s.handlers(r)
	document, err := r.document()
	if err != nil {
		return nil, err
	}
	if err := s.pages(r, document); err != nil {
		return nil, err
	}
	return s.middleware(r), nil
}

// Document gives the OpenAPI document, indented, without a running server.
func Document() ([]byte, error) {
	s := newServer(Deps{})
	r := newRouter(s)
	s.routes(r)
	return r.document()
}

func newServer(d Deps) *server {
	if d.MaxTelemetryBody <= 0 {
		d.MaxTelemetryBody = 1 << 20
	}
	return &server{Deps: d, origin: http.NewCrossOriginProtection()}
}

// routes are the routes of the OpenAPI document, all of them.
func (s *server) routes(r *router) {
	add(r, route{"POST /api/v1/login", 200, open, "login", "Log in with name and password"}, s.login)
	add(r, route{"GET /api/v1/login/link", 303, open, "followLoginLink", "Log in with a link that works once"}, s.loginLink)
	add(r, route{"POST /api/v1/logout", 204, open, "logout", "End the session"}, s.logout)
	add(r, route{"GET /api/v1/me", 200, viewer, "me", "Who is logged in"}, s.me)

	add(r, route{"GET /api/v1/devices", 200, viewer, "listDevices", "List and search devices"}, s.listDevices)
	add(r, route{"POST /api/v1/devices", 201, operator, "createDevice", "Create a device; its token is shown this once"}, s.createDevice)
	add(r, route{"GET /api/v1/devices/{id}", 200, viewer, "findDevice", "Get one device"}, s.findDevice)
	add(r, route{"PATCH /api/v1/devices/{id}", 200, operator, "changeDevice", "Change name, tags or profile"}, s.changeDevice)
	add(r, route{"DELETE /api/v1/devices/{id}", 204, operator, "deleteDevice", "Delete a device with all its readings"}, s.deleteDevice)
	add(r, route{"POST /api/v1/devices/{id}/token", 201, operator, "newDeviceToken", "Make a new token and revoke the old ones"}, s.newToken)

	addRaw(r, route{"POST /api/v1/devices/{id}/telemetry", 200, operatorOrDevice, "postTelemetry", "Store readings; the answer comes after the commit"}, telemetryBody, telemetryDoc{}, s.postTelemetry)
	addRaw(r, route{"POST /api/v1/import", 200, operator, "importReadings", "Store readings of many devices; the answer comes after the commits"}, importBody, importDoc{}, s.importReadings)
	add(r, route{"GET /api/v1/devices/{id}/latest", 200, viewerOrDevice, "latest", "Latest reading of every metric"}, s.latest)
	add(r, route{"GET /api/v1/devices/{id}/metrics", 200, viewerOrDevice, "listMetrics", "Metrics of a device with their meaning and latest reading"}, s.metrics)
	addRaw(r, route{"GET /api/v1/devices/{id}/history", 200, viewerOrDevice, "history", "Readings of a range of time, or aggregates of buckets"}, historyParams, historyDoc{}, s.history, tables)
	addRaw(r, route{"GET /api/v1/devices/{id}/history/gaps", 200, viewerOrDevice, "historyGaps", "Where readings are missing"}, gapParams, gapsDoc{}, s.gaps)
	addRaw(r, route{"POST /api/v1/query", 200, viewer, "query", "History of many devices, each or grouped"}, queryBody(r), historyDoc{}, s.query, tables)
	add(r, route{"GET /api/v1/devices/{id}/drops", 200, viewer, "listDrops", "What was received and not stored, and why"}, s.drops)
	add(r, route{"GET /api/v1/devices/{id}/events", 200, viewer, "listEvents", "Last connections, their ends, and refused logins"}, s.deviceEvents)

	add(r, route{"GET /api/v1/profiles", 200, viewer, "listProfiles", "List profiles"}, s.listProfiles)
	add(r, route{"GET /api/v1/profiles/{name}", 200, viewer, "findProfile", "Get one profile"}, s.findProfile)
	add(r, route{"PUT /api/v1/profiles/{name}", 200, operator, "putProfile", "Create or replace a profile"}, s.putProfile)
	add(r, route{"DELETE /api/v1/profiles/{name}", 204, operator, "deleteProfile", "Delete a profile that no device has"}, s.deleteProfile)

	add(r, route{"GET /api/v1/server", 200, viewer, "server", "About this server"}, s.info)
	add(r, route{"GET /api/v1/stats", 200, viewer, "stats", "What the server is doing now"}, s.stats)
	add(r, route{"GET /api/v1/storage", 200, viewer, "storage", "Where the disk goes, and for how long it lasts"}, s.storage)
	addRaw(r, route{"POST /api/v1/backup", 200, administrator, "backup", "Copy of the database, streamed"}, backupOperation, "", s.backup, backupAnswer)
	add(r, route{"GET /api/v1/broker", 200, viewer, "broker", "What the MQTT server is doing now"}, s.broker)
	add(r, route{"GET /api/v1/broker/clients", 200, viewer, "listClients", "List and search MQTT connections"}, s.listClients)
	add(r, route{"DELETE /api/v1/broker/clients/{session}", 204, operator, "disconnectClient", "End an MQTT connection; its client may come back"}, s.disconnectClient)
}

// handlers are the routes that are not part of the document.
func (s *server) handlers(r *router) {
	r.mux.HandleFunc("GET /healthz", s.healthz)
	r.mux.HandleFunc("GET /readyz", s.readyz)
	if s.Live != nil {
		r.mux.Handle("GET "+livePath, s.guarded(viewer, s.Live.WebSocket(gate{s})))
		r.mux.Handle("GET "+eventsPath, s.guarded(viewer, s.Live.Events(gate{s})))
	}
	if s.MQTT != nil {
		r.mux.Handle("GET /mqtt", s.MQTT)
	}
	if s.Metrics != nil {
		r.mux.Handle("GET /metrics", s.Metrics)
	}
}

// Accounts are the people.
type Accounts interface {
	Login(ctx context.Context, l auth.Login) (auth.Session, error)
	Redeem(ctx context.Context, ticket, agent string) (auth.Session, error)
	Session(ctx context.Context, token string) (auth.Principal, error)
	Logout(ctx context.Context, token string) error
}
