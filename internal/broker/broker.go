// Package broker connects the MQTT engine with the rest of Trefoil: who may
// log in, which topics mean what, how a publish becomes readings, and where
// sessions are kept. The engine knows nothing of devices, and nobody else
// knows MQTT.
package broker

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/payload"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Devices checks credentials of devices and keeps their presence.
type Devices interface {
	// Authenticate fails with code unauthorized for an unknown device or a
	// wrong token.
	Authenticate(ctx context.Context, id trefoil.DeviceID, token string) (trefoil.Device, error)
	// Has reports whether the device exists.
	Has(id trefoil.DeviceID) bool
	SetPresence(id trefoil.DeviceID, p trefoil.Presence)
}

// Services checks the credentials of backends: programs that are no device
// and read what devices send.
type Services interface {
	// Service reports whether the user's token opens the broker to it.
	Service(ctx context.Context, user, token string) bool
}

// Ingest makes messages durable.
type Ingest interface {
	NewMessage() *trefoil.Message
	Accept(ctx context.Context, w ingest.Write)
	TryAccept(w ingest.Write) error
}

// Ledger takes what is not stored.
type Ledger interface {
	Drop(d trefoil.Drop)
}

// Config is what a [Broker] is made of.
type Config struct {
	Devices  Devices
	Services Services
	Ingest   Ingest
	Ledger   Ledger
	Journal  Journal
	Sessions mqtt.Store
	Decoder  *payload.Decoder
	Limits   mqtt.Limits
	Payload  int // largest telemetry payload in bytes
	Log      *slog.Logger
	Now      func() time.Time
}

// Broker is the MQTT server of Trefoil.
type Broker struct {
	*mqtt.Server
	Config
	presence presence
	meter    meter
	unknown  atomic.Uint64 // see RefusedUnknown
}

// New makes the broker and loads its sessions.
func New(ctx context.Context, c Config) (*Broker, error) {
	b := &Broker{Config: c, presence: presence{connections: make(map[trefoil.DeviceID]int)}}
	server, err := mqtt.New(ctx, mqtt.Config{
		Authenticator: b,
		Authorizer:    authorizer{},
		Handler:       b,
		Store:         c.Sessions,
		Limits:        c.Limits,
		Logger:        c.Log,
		Now:           c.Now,
		Observer: mqtt.Observer{
			Connected:    b.connected,
			Disconnected: b.disconnected,
			Refused:      b.refused,
			Dropped:      b.dropped,
		},
	})
	if err != nil {
		return nil, err
	}
	b.Server = server
	return b, nil
}

// Cut ends the connections of a device, at once, for example because its
// token was revoked. It returns how many there were.
func (b *Broker) Cut(id trefoil.DeviceID, why string) int {
	return b.Disconnect(func(c *mqtt.Client) bool {
		who, ok := c.User.Data.(*device)
		return ok && who.id == id
	}, packet.NotAuthorized, why)
}

// Forget ends the connections of a deleted device and removes its sessions
// with what is queued for them, so that a new device of the same name begins
// with nothing.
func (b *Broker) Forget(id trefoil.DeviceID) {
	user := devicePrefix + string(id)
	b.Server.Forget(func(s mqtt.SessionID) bool { return s.User == user }, packet.NotAuthorized, "the device was deleted", func(err error) {
		if err != nil {
			b.Log.Warn("the MQTT sessions of a deleted device could not be removed", "device", id, "error", err)
		}
	})
}
