package mqtt_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// failing panics in every call.
type failing struct{}

func (failing) Authenticate(_ context.Context, r *mqtt.ConnectRequest) (mqtt.User, error) {
	panic("cannot authenticate")
}

// A password must not get into a log, also not with the packet of a panic.
func TestPanicOverConnectKeepsThePasswordOutOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, err := mqtt.New(context.Background(), mqtt.Config{
			Authenticator: failing{}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		b := &bed{t: t, server: s}
		c := b.dial(packet.V5)
		c.send(&packet.Connect{Version: packet.V5, ClientID: "c", HasUsername: true, Username: "u", HasPassword: true, Password: []byte("tell-nobody"), ReceiveMaximum: 10})
		c.closed()
		b.stop()
		if got := log.String(); !strings.Contains(got, "panic in a connection") || strings.Contains(got, "tell-nobody") || strings.Contains(got, hex.EncodeToString([]byte("tell-nobody"))) {
			t.Errorf("log %q, want the panic without the password", got)
		}
	})
}

// A fault of the application in an observer ends nothing.
func TestPanicInAnObserverIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := mqtt.Config{Observer: mqtt.Observer{
			Connected:    func(*mqtt.Client, bool) { panic("connected") },
			Disconnected: func(*mqtt.Client, mqtt.End) { panic("disconnected") },
		}}
		s, err := mqtt.New(context.Background(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		b := &bed{t: t, server: s}
		b.connect(packet.V5, "c").publish1("fine", "")
		b.connect(packet.V5, "c").publish1("fine again", "")
		b.stop()
		if got := s.Stats().Panics; got < 3 {
			t.Errorf("%d panics counted, want one for each call", got)
		}
	})
}
