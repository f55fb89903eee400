package app

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/api"
	"github.com/trefoil-iot/trefoil/internal/auth"
	"github.com/trefoil-iot/trefoil/internal/live"
	"github.com/trefoil-iot/trefoil/internal/registry"
)

// deviceChanged tells the other parts what the registry has stored.
func (a *App) deviceChanged(e registry.Event) {
	id := e.Device.ID
	switch e.Kind {
	case registry.Deleted:
		a.broker.Forget(id)
		a.broker.ClearStatus(id)
		a.ledger.Forget(id)
		a.versions.Forget(id)
		a.journal.Forget(id)
	case registry.TokenRevoked:
		a.broker.Cut(id, "the token was revoked")
		return // nothing that a viewer sees
	case registry.PresenceChanged:
		a.broker.PublishStatus(id, e.Device.Presence)
	}
	a.hub.DeviceChanged(live.Event{Device: e.Device, Removed: e.Kind == registry.Deleted})
}

// directory lets the live hub ask the registry.
type directory struct{ *registry.Registry }

func (d directory) Device(id trefoil.DeviceID) (trefoil.Device, bool) {
	device, err := d.Find(id)
	return device, err == nil
}

func (d directory) Match(tags []string) []trefoil.DeviceID {
	var ids []trefoil.DeviceID
	for q := (registry.Query{Tags: tags, Limit: registry.MaxLimit}); ; {
		page := d.List(q)
		for i := range page.Devices {
			ids = append(ids, page.Devices[i].ID)
		}
		if page.Next == "" {
			return ids
		}
		q.After = page.Next
	}
}

// services lets people's session tokens open the broker to their programs:
// user name = account, password = token.
type services struct{ accounts *auth.Accounts }

func (s services) Service(ctx context.Context, user, token string) bool {
	p, err := s.accounts.Session(ctx, token)
	return err == nil && p.Name == user && p.May(auth.Operator)
}

// system is what the API asks about this process.
type system struct{ *App }

// Ready is nil when what is sent now can be stored, and otherwise why not.
func (a system) Ready() error {
	if !a.serving.Load() {
		return trefoil.Errorf(trefoil.CodeUnavailable, "the server is starting or stopping")
	}
	if err := a.loop.Health(); err != nil {
		return trefoil.Errorf(trefoil.CodeUnavailable, "storing fails: %w", err)
	}
	return nil
}

// Info tells about this process for the server page.
func (a system) Info(ctx context.Context) (api.Info, error) {
	stats, err := a.store.Stats(ctx)
	if err != nil {
		return api.Info{}, fmt.Errorf("ask the store for its size: %w", err)
	}
	info := api.Info{
		Version: a.build.Version, Commit: a.build.Commit, Started: a.started,
		Store: api.StoreInfo{Engine: stats.Engine, Bytes: stats.Bytes, Series: stats.Series, Readings: stats.Readings},
		MQTT:  addressOf(a.mqttListener), HTTP: addressOf(a.httpListener),
	}
	if a.mqttsListener != nil {
		address := addressOf(a.mqttsListener)
		info.MQTTS = &address
	}
	return info, nil
}

func addressOf(l net.Listener) api.Address {
	port := 0
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		port = tcp.Port
	}
	return api.Address{Address: l.Addr().String(), Port: port}
}

// Stats tells what happens now.
func (a system) Stats() api.Stats {
	f, rate := a.metrics.Figures(), a.rates.Of()
	depth, capacity := a.loop.Depth()
	total, online := a.registry.Count()
	return api.Stats{
		Messages:    api.MessageStats{Received: f.Received, Stored: f.Stored, Dropped: f.Dropped},
		Readings:    api.ReadingStats{Stored: f.Readings},
		Rates:       api.RateStats{MessagesPerSecond: rate.Messages, ReadingsPerSecond: rate.Readings},
		Connections: a.broker.Stats().Connections,
		Devices:     api.DeviceStats{Total: total, Online: online},
		Queue:       api.QueueStats{Depth: depth, Capacity: capacity},
		Commit:      api.CommitStats{P50ms: f.CommitP50.Seconds() * 1e3, P99ms: f.CommitP99.Seconds() * 1e3, Seq: a.store.Seq()},
		Viewers:     a.hub.Stats().Viewers,
	}
}

// changes tells the API which answers about the past are still good. What is
// known of changes ends with the process, so each one has a name of its own.
type changes struct {
	*App
	process string
}

func (c changes) Version(id trefoil.DeviceID, to trefoil.Instant) (string, bool) {
	seq, ok := c.versions.Of(id, to, c.store.Seq())
	return fmt.Sprintf("%s %d", c.process, seq), ok
}

// gauges are the metrics that are asked for when somebody looks.
func (a *App) gauges() {
	m := a.metrics
	a.certificateGauges()
	m.Gauge("trefoil_queue_depth", "Weight that waits in the ingest queue: four a message, one a reading.", func() float64 {
		depth, _ := a.loop.Depth()
		return float64(depth)
	})
	m.Gauge("trefoil_queue_capacity", "Weight that the ingest queue takes before senders wait.", func() float64 {
		_, capacity := a.loop.Depth()
		return float64(capacity)
	})
	m.Gauge("trefoil_ready", "1 while what is sent can be stored.", func() float64 {
		if (system{a}).Ready() != nil {
			return 0
		}
		return 1
	})
	m.Gauge("trefoil_mqtt_connections", "Open MQTT connections.", func() float64 { return float64(a.broker.Stats().Connections) })
	m.Gauge("trefoil_mqtt_sessions", "MQTT sessions, those without a connection included.", func() float64 { return float64(a.broker.Stats().Sessions) })
	m.Gauge("trefoil_devices_online", "Devices with an MQTT connection.", func() float64 { _, online := a.registry.Count(); return float64(online) })
	m.Gauge("trefoil_devices", "Devices.", func() float64 { total, _ := a.registry.Count(); return float64(total) })
	m.Gauge("trefoil_live_viewers", "Live connections of people.", func() float64 { return float64(a.hub.Stats().Viewers) })
	m.Counter("trefoil_live_skipped_total", "Readings that slow viewers did not get one by one.", func() float64 { return float64(a.hub.Stats().Skipped) })
	m.Counter("trefoil_mqtt_messages_in_total", "PUBLISH packets received.", func() float64 { return float64(a.broker.Stats().MessagesIn) })
	m.Counter("trefoil_mqtt_messages_out_total", "PUBLISH packets sent.", func() float64 { return float64(a.broker.Stats().MessagesOut) })
	m.Counter("trefoil_mqtt_bad_logins_total", "Connections refused for their credentials.", func() float64 { return float64(a.broker.Stats().BadLogins) })
}

// quietLog takes what net/http says about single connections, which is
// nothing that an operator acts upon.
func quietLog(l *slog.Logger) *log.Logger {
	return slog.NewLogLogger(l.Handler(), slog.LevelDebug)
}
