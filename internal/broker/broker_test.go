package broker_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/broker"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/payload"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// gated is a real SQLite store whose commits of messages wait for the test's
// permit, or fail with it.
type gated struct {
	store.Store
	atGate chan int   // receives the messages of a commit that has come to the gate
	permit chan error // lets it through, or fails it
}

type gatedTx struct {
	store.Tx
	gate     *gated
	messages int
}

func (g *gated) Begin(ctx context.Context) (store.Tx, error) {
	tx, err := g.Store.Begin(ctx)
	return &gatedTx{Tx: tx, gate: g}, err
}

func (t *gatedTx) Append(m *trefoil.Message) error {
	t.messages++
	return t.Tx.Append(m)
}

func (t *gatedTx) Commit(ctx context.Context) (trefoil.Seq, error) {
	if t.messages > 0 {
		t.gate.atGate <- t.messages
		if err := <-t.gate.permit; err != nil {
			return 0, err
		}
	}
	return t.Tx.Commit(ctx)
}

// everybody lets any device in with the token "secret".
type everybody struct{}

func (everybody) Authenticate(_ context.Context, id trefoil.DeviceID, token string) (trefoil.Device, error) {
	if token != "secret" {
		return trefoil.Device{}, trefoil.Errorf(trefoil.CodeUnauthorized, "wrong")
	}
	return trefoil.Device{ID: id}, nil
}
func (everybody) Has(id trefoil.DeviceID) bool                   { return id != "nobody" }
func (everybody) SetPresence(trefoil.DeviceID, trefoil.Presence) {}
func (everybody) Service(_ context.Context, user, token string) bool {
	return user == "backend" && token == "key"
}
func (everybody) Committed(time.Duration, int, int) {}
func (everybody) CommitFailed()                     {}
func (everybody) Dropped(trefoil.DropReason, int64) {}

type rig struct {
	store  *gated
	broker *broker.Broker
	ledger *ingest.Ledger
	events events
	addr   string
}

func start(t *testing.T) *rig {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	db, err := sqlite.Open(t.Context(), t.TempDir(), store.Options{}, log)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{store: &gated{Store: db, atGate: make(chan int), permit: make(chan error)}}
	if r.ledger, err = ingest.NewLedger(t.Context(), db.Rows(), time.Now, everybody{}); err != nil {
		t.Fatal(err)
	}
	loop := ingest.New(ingest.Config{
		Store: r.store, Ledger: r.ledger, Meter: everybody{}, Log: log, Now: time.Now,
		Known: func(trefoil.DeviceID) bool { return true },
	})
	var parts sync.WaitGroup
	parts.Go(loop.Run)
	r.broker, err = broker.New(t.Context(), broker.Config{
		Devices: everybody{}, Services: everybody{}, Ingest: loop, Ledger: r.ledger, Journal: &r.events,
		Sessions: broker.NewSessions(db.Rows(), loop), Decoder: payload.NewDecoder(payload.Limits{}),
		Payload: 1000, Log: log, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	parts.Go(func() {
		if err := r.broker.Serve(l); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.broker.Shutdown(stop); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		loop.Stop()
		parts.Wait()
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

// client is a raw socket that speaks MQTT.
type client struct {
	t *testing.T
	net.Conn
	r       *bufio.Reader
	version packet.Version
}

// dialOnly opens a connection without a CONNECT.
func (r *rig) dialOnly(t *testing.T, v packet.Version) *client {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{t: t, Conn: conn, r: bufio.NewReader(conn), version: v}
}

func (r *rig) dial(t *testing.T, v packet.Version, id string) *client {
	t.Helper()
	c := r.dialOnly(t, v)
	connect := packet.Connect{
		Version: v, CleanStart: true, ClientID: id, HasUsername: true, Username: id,
		HasPassword: true, Password: []byte("secret"), ReceiveMaximum: 65535, RequestProblemInfo: true,
	}
	if id == "backend" {
		connect.Password = []byte("key")
	}
	c.send(connect.Append(nil, v))
	header, body := c.read()
	if header.Type != packet.CONNACK || body[1] != 0 {
		t.Fatalf("CONNECT of %s got %v % x, want CONNACK 0", id, header.Type, body)
	}
	return c
}

func (c *client) send(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatalf("write: %v", err)
	}
}

func (c *client) read() (packet.Header, []byte) {
	c.t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	header, body, err := c.tryRead()
	if err != nil {
		c.t.Fatalf("read a packet: %v", err)
	}
	return header, body
}

func (c *client) tryRead() (packet.Header, []byte, error) {
	first, err := c.r.ReadByte()
	if err != nil {
		return packet.Header{}, nil, err
	}
	length, err := binary.ReadUvarint(c.r)
	if err != nil {
		return packet.Header{}, nil, err
	}
	body := make([]byte, length)
	_, err = io.ReadFull(c.r, body)
	return packet.Header{Type: packet.Type(first >> 4), Flags: first & 15, Length: int(length)}, body, err
}

// silent fails the test if a packet is there. The caller has made sure that
// the server has nothing left to do: a PINGRESP comes after whatever the
// server had to say before.
func (c *client) silent(when string) {
	c.t.Helper()
	c.send([]byte{0xc0, 0})
	if header, body := c.read(); header.Type != packet.PINGRESP {
		c.t.Errorf("%s: got %v % x, want nothing", when, header.Type, body)
	}
}

func (c *client) publish(topic, body string, qos byte, id uint16) {
	c.t.Helper()
	p := packet.Publish{QoS: qos, Topic: []byte(topic), PacketID: id, Payload: []byte(body)}
	c.send(p.Append(nil, c.version))
}

func (c *client) ack() packet.Ack {
	c.t.Helper()
	header, body := c.read()
	var a packet.Ack
	if err := a.Decode(c.version, header.Type, body); err != nil {
		c.t.Fatalf("got %v % x, want an ack: %v", header.Type, body, err)
	}
	return a
}

func versions(t *testing.T, test func(t *testing.T, v packet.Version)) {
	for _, v := range []packet.Version{packet.V311, packet.V5} {
		t.Run(fmt.Sprintf("level %d", v), func(t *testing.T) { test(t, v) })
	}
}

func TestNoPubackBeforeTheCommit(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		r := start(t)
		c := r.dial(t, v, "a")
		c.publish("devices/a/telemetry", `{"x":1}`, 1, 7)
		<-r.store.atGate
		c.silent("while the commit is on its way")
		r.store.permit <- nil
		if got := c.ack(); got.Type != packet.PUBACK || got.PacketID != 7 || got.Reason != packet.Success {
			t.Errorf("after the commit: %+v, want PUBACK 7 with success", got)
		}
		latest, err := r.store.Latest(t.Context(), "a")
		if err != nil || len(latest) != 1 {
			t.Errorf("stored %v, %v; want one reading", latest, err)
		}
	})
}

func TestNoPubackWhileCommitsFail(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		r := start(t)
		c := r.dial(t, v, "a")
		c.publish("devices/a/telemetry", `{"x":1}`, 1, 7)
		for range 3 {
			<-r.store.atGate
			r.store.permit <- errors.New("disk full")
			c.silent("after a failed commit")
		}
		<-r.store.atGate
		r.store.permit <- nil
		if got := c.ack(); got.Type != packet.PUBACK || got.PacketID != 7 || got.Reason != packet.Success {
			t.Errorf("after recovery: %+v, want PUBACK 7 with success", got)
		}
	})
}

func TestMessagesInFlightOnOneConnectionShareCommits(t *testing.T) {
	versions(t, func(t *testing.T, v packet.Version) {
		r := start(t)
		c := r.dial(t, v, "a")
		const inFlight = 20
		for id := range uint16(inFlight) {
			c.publish("devices/a/telemetry", fmt.Sprintf(`{"x":%d}`, id), 1, id+1)
		}
		c.silent("before a commit") // the PINGREQ was read, and so was all before it
		var commits []int
		for stored := 0; stored < inFlight; {
			n := <-r.store.atGate
			commits = append(commits, n)
			stored += n
			r.store.permit <- nil
		}
		if len(commits) > 2 {
			t.Errorf("%d messages took the commits %v, want at most two: the first, and all that came meanwhile", inFlight, commits)
		}
		for id := range uint16(inFlight) {
			if got := c.ack(); got.PacketID != id+1 {
				t.Errorf("ack %d is for %d, want the order of the publishes", id+1, got.PacketID)
			}
		}
	})
}

func TestABadPublishIsRefusedWithItsReason(t *testing.T) {
	for _, tc := range []struct {
		name, topic, body string
		reason            packet.ReasonCode
		drop              trefoil.DropReason
	}{
		{"payload that is no JSON", "devices/a/telemetry", `x=1`, packet.PayloadFormatInvalid, trefoil.DropMalformed},
		{"topic of another device", "devices/b/telemetry", `{"x":1}`, packet.NotAuthorized, trefoil.DropForeignTopic},
		{"topic that does not exist", "devices/a/nonsense", `{"x":1}`, packet.NotAuthorized, trefoil.DropUnknownTopic},
		{"payload above the limit", "devices/a/telemetry/s", `"` + string(slices.Repeat([]byte("x"), 2000)) + `"`, packet.QuotaExceeded, trefoil.DropTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := start(t)
			five := r.dial(t, packet.V5, "a")
			five.publish(tc.topic, tc.body, 1, 7)
			if got := five.ack(); got.Reason != tc.reason || got.ReasonString == "" {
				t.Errorf("5.0 got reason %#x %q, want %#x and why", got.Reason, got.ReasonString, tc.reason)
			}
			three := r.dial(t, packet.V311, "a")
			sub := packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: "devices/a/errors", QoS: 1}}}
			three.send(sub.Append(nil, packet.V311))
			three.read()
			three.publish(tc.topic, tc.body, 1, 7)
			seen := map[packet.Type]bool{}
			for range 2 {
				header, _ := three.read()
				seen[header.Type] = true
			}
			if !seen[packet.PUBACK] || !seen[packet.PUBLISH] {
				t.Errorf("3.1.1 got %v, want a PUBACK and a message on its error topic", seen)
			}
			counts, drops := r.ledger.Of("a")
			if counts.Dropped != 2 || counts.Received != 2 || len(drops) != 1 || drops[0].Reason != tc.drop || len(drops[0].Sample) == 0 {
				t.Errorf("ledger %+v %+v, want two drops with reason %q and a sample", counts, drops, tc.drop)
			}
		})
	}
}

func TestADeviceSubscribesBelowItsOwnTopicsOnlyAndAServiceAnywhere(t *testing.T) {
	r := start(t)
	for _, tc := range []struct {
		who, filter string
		want        packet.ReasonCode
	}{
		{"a", "devices/a/#", packet.GrantedQoS1},
		{"a", "devices/a/commands/+", packet.GrantedQoS1},
		{"a", "devices/b/#", packet.NotAuthorized},
		{"a", "devices/+/telemetry", packet.NotAuthorized},
		{"a", "#", packet.NotAuthorized},
		{"backend", "devices/+/telemetry", packet.GrantedQoS1},
	} {
		c := r.dial(t, packet.V5, tc.who)
		sub := packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: tc.filter, QoS: 1}}}
		c.send(sub.Append(nil, packet.V5))
		header, body := c.read()
		var got packet.Suback
		if err := got.Decode(packet.V5, header.Type, body); err != nil {
			t.Fatal(err)
		}
		if got.Reasons[0] != tc.want {
			t.Errorf("%s subscribes to %s: %#x, want %#x", tc.who, tc.filter, got.Reasons[0], tc.want)
		}
	}
}

var _ mqtt.Store = (*broker.Sessions)(nil)
