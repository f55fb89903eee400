// Package app puts Trefoil together. It is the only place that knows all
// parts: it makes them, connects what one tells to what another wants to
// know, starts them, and stops them in reverse order.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/trefoil-iot/trefoil/internal/auth"
	"github.com/trefoil-iot/trefoil/internal/broker"
	"github.com/trefoil-iot/trefoil/internal/config"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/journal"
	"github.com/trefoil-iot/trefoil/internal/live"
	"github.com/trefoil-iot/trefoil/internal/registry"
	"github.com/trefoil-iot/trefoil/internal/storage"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/telemetry"
	"github.com/trefoil-iot/trefoil/internal/tlsfile"
)

// Build says what program this is.
type Build struct{ Version, Commit string }

// App is one running Trefoil.
type App struct {
	config  config.Config
	build   Build
	log     *slog.Logger
	now     func() time.Time
	started time.Time
	life    *life

	arrivals *arrivals // for messages; everything else uses now

	httpListener  net.Listener
	mqttListener  net.Listener
	mqttsListener net.Listener    // nil without TLS
	httpTLS       *tlsfile.Source // nil without TLS
	mqttTLS       *tlsfile.Source // nil without TLS

	store    store.Store
	metrics  *telemetry.Metrics
	rates    telemetry.Rates
	ledger   *ingest.Ledger
	loop     *ingest.Loop
	registry *registry.Registry
	journal  *journal.Journal
	accounts *auth.Accounts
	hub      *live.Hub
	versions *history.Versions
	broker   *broker.Broker
	http     *http.Server
	meter    *storage.Meter
	backups  *storage.Backups // nil without a schedule

	generatedPassword string
	ready             chan struct{}
	serving           atomic.Bool // false before the start is complete and while it stops
}

// New opens everything and begins to listen; [App.Run] serves. After an error
// nothing is left open. Errors say what to do next: a port that is taken is a
// [PortTaken].
func New(ctx context.Context, c config.Config, build Build, log *slog.Logger) (*App, error) {
	a := &App{config: c, build: build, log: log, now: time.Now, life: newLife(), ready: make(chan struct{})}
	a.started, a.arrivals = a.now(), &arrivals{clock: a.now}
	for _, step := range []func(context.Context) error{
		a.openTLS, a.listen, a.listenTLS, a.openStore, a.openLoop, a.openStorage, a.openAccounts, a.openLive, a.openBroker, a.openHTTP,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, a.life.stop(ctx))
		}
	}
	return a, nil
}

// Run serves until ctx ends or a part fails, and then stops everything: what
// was accepted is stored and acknowledged, then connections are closed. It is
// called once.
func (a *App) Run(ctx context.Context) error {
	a.serve()
	a.serving.Store(true) // before it is told to anybody
	if err := a.announce(); err != nil {
		return errors.Join(err, a.stop())
	}
	close(a.ready)
	a.log.Info("ready", "http", a.HTTPURL(), "mqtt", a.MQTTAddr(), "data", a.config.Data, "took", a.now().Sub(a.started).Round(time.Millisecond))
	var cause error
	select {
	case <-ctx.Done():
		a.log.Info("stopping")
	case cause = <-a.life.failed:
		a.log.Error("a part of the server failed; stopping", "error", cause)
	}
	return errors.Join(cause, a.stop())
}

func (a *App) stop() error {
	a.serving.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), a.config.Limits.Shutdown)
	defer cancel()
	err := a.life.stop(ctx)
	a.life.group.Wait()
	if err == nil {
		a.log.Info("stopped; everything that was accepted is stored")
	}
	return err
}

// serve begins to take connections.
func (a *App) serve() {
	a.life.group.Go(func() {
		if err := a.serveHTTP(); !errors.Is(err, http.ErrServerClosed) {
			a.life.fail(fmt.Errorf("serve HTTP: %w", err))
		}
	})
	a.serveMQTT("MQTT", a.mqttListener)
	if a.mqttsListener != nil {
		a.serveMQTT("MQTT over TLS", a.mqttsListener)
	}
}

// serveHTTP serves HTTPS, and HTTP only where there is no certificate.
func (a *App) serveHTTP() error {
	if a.httpTLS == nil {
		return a.http.Serve(a.httpListener)
	}
	a.http.TLSConfig = a.httpTLS.Config()
	return a.http.ServeTLS(a.httpListener, "", "")
}

func (a *App) serveMQTT(what string, l net.Listener) {
	a.life.group.Go(func() {
		if err := a.broker.Serve(l); err != nil {
			a.life.fail(fmt.Errorf("serve %s: %w", what, err))
		}
	})
}

func (a *App) announce() error {
	a.life.onStop("address file", func(context.Context) error { return removeAddresses(a.config.Data) })
	all := addresses{HTTP: a.httpListener.Addr().String(), MQTT: a.mqttListener.Addr().String(), PID: pid()}
	if a.mqttsListener != nil {
		all.MQTTS = a.mqttsListener.Addr().String()
	}
	return writeAddresses(a.config.Data, all)
}

// Ready is closed when the server takes connections.
func (a *App) Ready() <-chan struct{} { return a.ready }

// MQTTAddr is where devices connect, host:port, with localhost for a server
// that listens on all interfaces.
func (a *App) MQTTAddr() string { return reachable(a.mqttListener.Addr()) }

// MQTTSAddr is where devices connect with TLS, or "" when they cannot.
func (a *App) MQTTSAddr() string {
	if a.mqttsListener == nil {
		return ""
	}
	return reachable(a.mqttsListener.Addr())
}

// HTTPURL is where browsers go.
func (a *App) HTTPURL() string {
	scheme := "http://"
	if a.httpTLS != nil {
		scheme = "https://"
	}
	return scheme + reachable(a.httpListener.Addr())
}

// AdminPassword is the password that was generated at the very first start,
// to be shown once; generated is false at any other start.
func (a *App) AdminPassword() (password string, generated bool) {
	return a.generatedPassword, a.generatedPassword != ""
}

// linkLife is how long a login link works.
const linkLife = 24 * time.Hour

// LoginLink makes a link that logs in as the administrator once.
func (a *App) LoginLink() (string, error) {
	ticket, err := a.accounts.NewTicket(auth.AdminName, linkLife)
	if err != nil {
		return "", fmt.Errorf("make a login link: %w", err)
	}
	return a.HTTPURL() + "/api/v1/login/link?ticket=" + url.QueryEscape(ticket), nil
}

// reachable gives an address that a program on this machine can connect to.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return fmt.Sprintf("localhost:%d", tcp.Port)
}
