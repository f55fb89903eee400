package mqtt_test

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// bed is a server with an in-memory store, in a bubble of fake time.
type bed struct {
	t      *testing.T
	server *mqtt.Server
	served sync.WaitGroup
}

// run tests in a bubble: time passes only when everybody waits, and "nothing
// comes" can be asserted without waiting.
func run(t *testing.T, cfg mqtt.Config, test func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, cfg)
		defer b.stop()
		test(b)
	})
}

func start(t *testing.T, cfg mqtt.Config) *bed {
	t.Helper()
	cfg.Observer.Panic = func(_ *mqtt.Client, v any, stack, p []byte) { t.Errorf("panic %v over packet %x\n%s", v, p, stack) }
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s, err := mqtt.New(t.Context(), cfg)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return &bed{t: t, server: s}
}

func (b *bed) stop() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.server.Shutdown(ctx); err != nil {
		b.t.Errorf("Shutdown = %v, want nil", err)
	}
	b.served.Wait()
}

// client is the test's side of a connection.
type client struct {
	t       *testing.T
	version packet.Version
	net     net.Conn
	frames  chan packet.Packet
	end     chan struct{}
}

// dial opens a connection and sends nothing.
func (b *bed) dial(v packet.Version) *client {
	ours, theirs := net.Pipe()
	b.served.Go(func() { b.server.ServeConn(theirs) })
	c := &client{t: b.t, version: v, net: ours, frames: make(chan packet.Packet, 10_000), end: make(chan struct{})}
	b.served.Go(c.read)
	b.t.Cleanup(func() { _ = ours.Close() })
	return c
}

func (c *client) read() {
	defer close(c.end)
	var buf []byte
	chunk := make([]byte, 4096)
	for {
		for {
			h, n, err := packet.ParseHeader(buf)
			if err != nil || len(buf) < n+h.Length {
				break
			}
			p, err := packet.Decode(c.version, h, append([]byte(nil), buf[n:n+h.Length]...))
			if err != nil {
				c.t.Errorf("the server sent %x, which is no packet: %v", buf[:n+h.Length], err)
			}
			c.frames <- p
			buf = buf[n+h.Length:]
		}
		n, err := c.net.Read(chunk)
		buf = append(buf, chunk[:n]...)
		if err != nil {
			return
		}
	}
}

func (c *client) send(packets ...packet.Packet) {
	c.t.Helper()
	var b []byte
	for _, p := range packets {
		b = p.Append(b, c.version)
	}
	c.write(b)
}

// raw sends bytes in hexadecimal, with spaces as one likes.
func (c *client) raw(s string) {
	c.t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		c.t.Fatalf("test data: %v", err)
	}
	c.write(b)
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.net.Write(b); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		c.t.Fatalf("write: %v", err)
	}
}

// next waits for a packet of type P.
func next[P packet.Packet](c *client) P {
	c.t.Helper()
	var none P
	select {
	case p := <-c.frames:
		if got, ok := p.(P); ok {
			return got
		}
		c.t.Fatalf("got %T %+v, want %T", p, p, none)
	case <-time.After(time.Minute):
		c.t.Fatalf("nothing came, want %T", none)
	case <-c.end:
		select {
		case p := <-c.frames:
			if got, ok := p.(P); ok {
				return got
			}
			c.t.Fatalf("got %T %+v, want %T", p, p, none)
		default:
			c.t.Fatalf("connection was closed, want %T", none)
		}
	}
	return none
}

// quiet asserts that nothing comes while no time passes.
func (c *client) quiet() {
	c.t.Helper()
	synctest.Wait()
	select {
	case p := <-c.frames:
		c.t.Fatalf("got %T %+v, want nothing", p, p)
	default:
	}
}

// closed asserts that the server closes, and sends nothing more.
func (c *client) closed() {
	c.t.Helper()
	select {
	case <-c.end:
	case <-time.After(time.Minute):
		c.t.Fatalf("connection is open, want closed")
	}
	select {
	case p := <-c.frames:
		c.t.Fatalf("got %T %+v, want nothing before the close", p, p)
	default:
	}
}

// disconnected asserts that the server sends DISCONNECT with the reason and
// closes; 3.1.1 is closed without.
func (c *client) disconnected(want packet.ReasonCode) {
	c.t.Helper()
	if c.version >= packet.V5 {
		if d := next[*packet.Disconnect](c); d.Reason != want {
			c.t.Errorf("DISCONNECT reason = %v (%s), want %v", d.Reason, d.ReasonString, want)
		}
	}
	c.closed()
}

// hello is a CONNECT with a client id.
func hello(id string, change ...func(*packet.Connect)) *packet.Connect {
	p := &packet.Connect{ClientID: id, CleanStart: true, RequestProblemInfo: true, ReceiveMaximum: 65535}
	for _, f := range change {
		f(p)
	}
	return p
}

// lasting asks for a session that stays.
func lasting(p *packet.Connect) {
	p.CleanStart = false
	p.SessionExpiry = 3600
}

// connect opens a connection that is accepted.
func (b *bed) connect(v packet.Version, id string, change ...func(*packet.Connect)) *client {
	b.t.Helper()
	c, ack := b.login(v, id, change...)
	if ack.Reason != packet.Success {
		b.t.Fatalf("CONNACK reason = %v, want success", ack.Reason)
	}
	return c
}

func (b *bed) login(v packet.Version, id string, change ...func(*packet.Connect)) (*client, *packet.Connack) {
	b.t.Helper()
	c := b.dial(v)
	c.send(hello(id, change...))
	return c, next[*packet.Connack](c)
}

// bye says goodbye and waits for the end.
func (c *client) bye() {
	c.t.Helper()
	c.send(&packet.Disconnect{})
	<-c.end
}

// drop closes the socket without a word.
func (c *client) drop() {
	_ = c.net.Close()
	<-c.end
	synctest.Wait()
}

func (c *client) subscribe(filter string, qos byte, change ...func(*packet.Subscribe)) *packet.Suback {
	c.t.Helper()
	p := &packet.Subscribe{PacketID: 999, Subscriptions: []packet.Subscription{{Filter: filter, QoS: qos}}}
	for _, f := range change {
		f(p)
	}
	c.send(p)
	return next[*packet.Suback](c)
}

func publish(topic, payload string, qos byte, id uint16, change ...func(*packet.Publish)) *packet.Publish {
	p := &packet.Publish{Topic: []byte(topic), Payload: []byte(payload), QoS: qos, PacketID: id}
	for _, f := range change {
		f(p)
	}
	return p
}

// publish1 publishes with QoS 1 and waits for the ack.
func (c *client) publish1(topic, payload string, change ...func(*packet.Publish)) *packet.Ack {
	c.t.Helper()
	c.send(publish(topic, payload, 1, 77, change...))
	return next[*packet.Ack](c)
}

// gets asserts that the next packet is a PUBLISH with topic and payload.
func (c *client) gets(topic, payload string) *packet.Publish {
	c.t.Helper()
	p := next[*packet.Publish](c)
	if got, want := string(p.Topic)+" "+string(p.Payload), topic+" "+payload; got != want {
		c.t.Fatalf("got message %q, want %q", got, want)
	}
	return p
}

func (c *client) ack(t packet.Type, id uint16) {
	c.t.Helper()
	c.send(&packet.Ack{Type: t, PacketID: id})
}

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: got %+v, want %+v\n%s", what, got, want, d)
	}
}

func ptr[T any](v T) *T { return &v }

// both runs a test for both versions.
func both(t *testing.T, cfg func() mqtt.Config, test func(b *bed, v packet.Version)) {
	t.Helper()
	for name, v := range map[string]packet.Version{"3.1.1": packet.V311, "5.0": packet.V5} {
		t.Run(name, func(t *testing.T) { run(t, cfg(), func(b *bed) { test(b, v) }) })
	}
}

func plain() mqtt.Config { return mqtt.Config{} }

// pass lets time pass in the bubble of the test.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
