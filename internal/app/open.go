package app

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/api"
	"github.com/trefoil-iot/trefoil/internal/auth"
	"github.com/trefoil-iot/trefoil/internal/broker"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/journal"
	"github.com/trefoil-iot/trefoil/internal/live"
	"github.com/trefoil-iot/trefoil/internal/payload"
	"github.com/trefoil-iot/trefoil/internal/registry"
	"github.com/trefoil-iot/trefoil/internal/telemetry"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/web"
)

func pid() int { return os.Getpid() }

// listen comes first: a port that is taken must not leave a new database.
func (a *App) listen(context.Context) (err error) {
	if a.httpListener, err = listen("http", a.config.HTTP.Address); err != nil {
		return err
	}
	a.life.onStop("HTTP port", func(context.Context) error { return ignoreClosed(a.httpListener.Close()) })
	if a.mqttListener, err = listen("mqtt", a.config.MQTT.Address); err != nil {
		return err
	}
	a.life.onStop("MQTT port", func(context.Context) error { return ignoreClosed(a.mqttListener.Close()) })
	return nil
}

// messageWeight is the weight of a usual message in the ingest queue: four
// for the message and one for each of four readings.
const messageWeight = 8

// openLoop makes the commit loop and what stands around it, and starts it:
// everything after this may write.
func (a *App) openLoop(ctx context.Context) (err error) {
	a.metrics = telemetry.New(a.build.Version)
	if a.ledger, err = ingest.NewLedger(ctx, a.store.Rows(), a.now, a.metrics); err != nil {
		return err
	}
	a.loop = ingest.New(ingest.Config{
		Store: a.store, Ledger: a.ledger, Meter: a.metrics, Log: a.log, Now: a.now,
		Known:       func(id trefoil.DeviceID) bool { return a.registry.Has(id) },
		QueueWeight: a.config.Limits.Queue * messageWeight,
	})
	a.registry, err = registry.Open(ctx, registry.Options{Rows: a.store.Rows(), Writer: a.loop, Now: a.now, Log: a.log})
	if err != nil {
		return err
	}
	a.hub = live.New(live.Deps{Store: a.store, Devices: directory{a.registry}, Log: a.log, Now: a.now})
	a.versions = history.NewVersions(a.store.Seq())
	a.loop.Observers = []ingest.Observer{a.versions, a.hub}
	a.life.background("commit loop", func(ctx context.Context) error {
		context.AfterFunc(ctx, a.loop.Stop) // which settles what was accepted
		a.loop.Run()
		return nil
	})
	return nil
}

func (a *App) openAccounts(ctx context.Context) (err error) {
	a.accounts, err = auth.Open(ctx, auth.Options{Rows: a.store.Rows(), Writer: a.loop, Now: a.now, Log: a.log})
	if err != nil {
		return err
	}
	var created bool
	if a.generatedPassword, created, err = a.accounts.EnsureAdmin(ctx, a.config.Admin.Password); err != nil {
		return err
	}
	if created {
		debug.FreeOSMemory() // hashing a password takes 19 MiB, which a server at rest need not hold
	}
	a.life.background("sessions of people", a.accounts.Run)
	a.journal = journal.New(journal.Options{Rows: a.store.Rows(), Writer: a.loop, Log: a.log})
	a.life.background("connection events of devices", a.journal.Run)
	return nil
}

func (a *App) openLive(context.Context) error {
	a.life.background("rates", a.sampleRates)
	return nil
}

func (a *App) sampleRates(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			a.rates.Sample(a.now(), a.metrics.Figures())
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *App) openBroker(ctx context.Context) (err error) {
	limits := a.config.Limits
	a.broker, err = broker.New(ctx, broker.Config{
		Devices: a.registry, Services: services{a.accounts}, Ingest: a.loop, Ledger: a.ledger, Journal: a.journal,
		Sessions: broker.NewSessions(a.store.Rows(), a.loop),
		Decoder:  payload.NewDecoder(payload.Limits{}),
		Limits: mqtt.Limits{
			Connections: limits.Connections, ConnectionsPerAddress: limits.PerAddress, AcceptRate: limits.Accepts,
			ConnectTimeout: limits.ConnectTimeout, PacketSize: int(limits.Packet),
			MessageRate: limits.MessageRate, ByteRate: int(limits.ByteRate),
			Subscriptions: limits.Subscriptions, QueueMessages: limits.SessionQueue,
		},
		Payload: int(limits.Payload), Log: a.log, Now: a.arrivals.now,
	})
	if err != nil {
		return err
	}
	// The presence of devices that a crash left online changes at once, which
	// the broker must be there for; it stops after the connections that set it.
	a.registry.OnChange(a.deviceChanged)
	a.life.background("presence of devices", a.registry.Run)
	a.life.onStop("MQTT connections", a.broker.Shutdown)
	a.life.background("rates of MQTT", a.sampleBroker)
	return nil
}

func (a *App) openHTTP(context.Context) error {
	a.gauges()
	handler, err := api.New(api.Deps{
		Devices: a.registry, Profiles: a.registry, Accounts: a.accounts, Keys: a.registry,
		Telemetry: a.loop, Payload: payload.NewDecoder(payload.Limits{}),
		History: history.New(a.store), Changes: changes{a, rand.Text()}, Latest: a.store, Ledger: a.ledger, System: system{a},
		Broker: monitor{a}, Journal: a.journal, Storage: space{a}, Copier: a.copier(), MaxDisk: a.config.Retain.MaxDisk,
		Live: a.hub, MQTT: a.broker.WebSocket(), Metrics: a.metrics.Handler(), UI: web.Files(),
		Log: a.log, Now: a.arrivals.now, MaxTelemetryBody: int64(a.config.Limits.Payload),
	})
	if err != nil {
		return err
	}
	a.http = &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: quietLog(a.log),
	}
	a.life.onStop("HTTP server", a.http.Shutdown)
	a.life.onStop("live viewers", a.hub.Close) // first: the server waits for streams to end
	return nil
}

func ignoreClosed(err error) error {
	if err != nil && strings.Contains(err.Error(), "use of closed network connection") {
		return nil
	}
	return err
}
