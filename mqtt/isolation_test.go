package mqtt_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// stuck connects and subscribes, and then reads nothing more.
func (b *bed) stuck(v packet.Version, id, filter string, qos byte, change ...func(*packet.Connect)) net.Conn {
	b.t.Helper()
	ours, theirs := net.Pipe()
	b.served.Go(func() { b.server.ServeConn(theirs) })
	b.t.Cleanup(func() { _ = ours.Close() })
	hi := hello(id, change...).Append(nil, v)
	sub := &packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: filter, QoS: qos}}}
	for _, p := range [][]byte{hi, sub.Append(nil, v)} {
		if _, err := ours.Write(p); err != nil {
			b.t.Fatal(err)
		}
		if _, err := ours.Read(make([]byte, 500)); err != nil {
			b.t.Fatal(err)
		}
	}
	return ours
}

func TestStuckSubscriberDelaysNobody(t *testing.T) {
	drops := 0
	cfg := mqtt.Config{Limits: mqtt.Limits{OutboundBytes: 10_000}}
	cfg.Observer.Dropped = func(mqtt.Drop) { drops++ }
	run(t, cfg, func(b *bed) {
		b.stuck(packet.V5, "stuck", "#", 0)
		good := b.connect(packet.V5, "good")
		good.subscribe("#", 0)
		pub := b.connect(packet.V5, "pub")
		began := time.Now()
		const n = 500
		for i := range n {
			pub.publish1("t", fmt.Sprint(i, strings.Repeat("x", 100)))
			good.gets("t", fmt.Sprint(i, strings.Repeat("x", 100)))
		}
		equal(t, "time that it took", time.Since(began), 0)
		if drops == 0 || uint64(drops) != b.server.Stats().Dropped {
			t.Errorf("drops: observed %d, counted %d, want the same and some", drops, b.server.Stats().Dropped)
		}
	})
}

// QoS 1 for a stored session waits in its queue, and none is lost.
func TestStuckStoredSubscriberLosesNothing(t *testing.T) {
	cfg := mqtt.Config{Limits: mqtt.Limits{OutboundBytes: 1000, MemoryQueue: 10, WriteTimeout: 5 * time.Second}}
	run(t, cfg, func(b *bed) {
		b.stuck(packet.V5, "sub", "#", 1, lasting)
		pub := b.connect(packet.V5, "pub")
		const n = 300
		for i := range n {
			pub.publish1("t", fmt.Sprint(i))
		}
		time.Sleep(6 * time.Second) // the write deadline ends the connection
		equal(t, "connections", b.server.Stats().Connections, 1)
		sub := b.connect(packet.V5, "sub", lasting)
		for i := range n {
			p := sub.gets("t", fmt.Sprint(i))
			sub.ack(packet.PUBACK, p.PacketID)
		}
		synctest.Wait()
		equal(t, "queued", b.server.Stats().Queued, 0)
	})
}

// A session without a store cannot take more than its bound, and is not left
// in the belief that it got everything.
func TestTransientSubscriberIsClosedWhenItsQueueIsFull(t *testing.T) {
	var end mqtt.End
	cfg := mqtt.Config{Limits: mqtt.Limits{TransientMessages: 20, InflightOut: 5}}
	cfg.Observer.Disconnected = func(c *mqtt.Client, e mqtt.End) {
		if c.Session.ClientID == "sub" {
			end = e
		}
	}
	both(t, func() mqtt.Config { return cfg }, func(b *bed, v packet.Version) {
		sub := b.connect(v, "sub")
		sub.subscribe("#", 1)
		pub := b.connect(v, "pub")
		for i := range 21 {
			pub.publish1("t", fmt.Sprint(i))
			if i < 5 { // the client's window
				sub.gets("t", fmt.Sprint(i))
			}
		}
		sub.disconnected(packet.QuotaExceeded)
		synctest.Wait()
		equal(t, "cause", end.Cause, mqtt.CauseSlow)
	})
}

func TestWindowAndPacketSizeOfTheClient(t *testing.T) {
	run(t, plain(), func(b *bed) {
		sub := b.connect(packet.V5, "sub", func(p *packet.Connect) { p.ReceiveMaximum, p.MaximumPacketSize = 2, 50 })
		sub.subscribe("#", 1)
		pub := b.connect(packet.V5, "pub")
		pub.publish1("t", strings.Repeat("x", 60))
		for i := range 4 {
			pub.publish1("t", fmt.Sprint(i))
		}
		first := sub.gets("t", "0")
		sub.gets("t", "1")
		sub.quiet()
		sub.ack(packet.PUBACK, first.PacketID)
		sub.gets("t", "2")
		sub.quiet()
		equal(t, "dropped", b.server.Stats().Dropped, 1)
	})
}

// A packet in pieces is one packet, and nothing is allocated for what did not
// arrive.
func TestPacketsInPieces(t *testing.T) {
	run(t, plain(), func(b *bed) {
		sub := b.connect(packet.V5, "sub")
		sub.subscribe("#", 0)
		c := b.connect(packet.V5, "c")
		payload := strings.Repeat("0123456789", 5000)
		var all []byte
		for i := range 3 {
			all = publish("big", payload, 1, uint16(i+1)).Append(all, packet.V5)
			all = publish("small", "x", 1, uint16(i+100)).Append(all, packet.V5)
		}
		for len(all) > 0 {
			n := min(len(all), 777)
			c.write(all[:n])
			all = all[n:]
		}
		for i := range 3 {
			equal(t, "ack", next[*packet.Ack](c).PacketID, uint16(i+1))
			next[*packet.Ack](c)
			sub.gets("big", payload)
			sub.gets("small", "x")
		}
	})
}

// The same over a real socket, where buffers are taken only when there is
// something to read.
func TestOverTCP(t *testing.T) {
	b := start(t, plain())
	defer b.stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.server.Serve(l) }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, version: packet.V5, net: nc, frames: make(chan packet.Packet, 1000), end: make(chan struct{})}
	go c.read()
	c.send(hello("c"))
	next[*packet.Connack](c)
	c.subscribe("t", 1)
	payload := strings.Repeat("x", 100_000)
	c.send(publish("t", payload, 1, 1))
	var got string
	for range 2 {
		if p, ok := (<-c.frames).(*packet.Publish); ok {
			got = string(p.Payload)
		}
	}
	equal(t, "payload", got == payload, true)
	go b.server.Disconnect(func(*mqtt.Client) bool { return true }, packet.AdministrativeAction, "")
	c.disconnected(packet.AdministrativeAction)
	_ = l.Close()
	if err := <-served; err != nil {
		t.Errorf("Serve = %v, want nil after its listener was closed", err)
	}
	if _, err := nc.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read after the end = %v, want EOF", err)
	}
}

// seer keeps what an authenticator was asked.
type seer struct{ asked chan *tls.ConnectionState }

func (s seer) Authenticate(_ context.Context, r *mqtt.ConnectRequest) (mqtt.User, error) {
	s.asked <- r.TLS
	return mqtt.User{}, nil
}

func TestOverTLS(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	web.Close()
	s := seer{make(chan *tls.ConnectionState, 1)}
	b := start(t, mqtt.Config{Authenticator: s})
	defer b.stop()
	l, err := tls.Listen("tcp", "127.0.0.1:0", web.TLS)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = b.server.Serve(l) }()
	nc, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, version: packet.V311, net: nc, frames: make(chan packet.Packet, 1000), end: make(chan struct{})}
	go c.read()
	c.send(hello("c"))
	next[*packet.Connack](c)
	if state := <-s.asked; state == nil || !state.HandshakeComplete {
		t.Errorf("the authenticator got TLS state %+v, want that of the connection", state)
	}
	for range 100 {
		c.send(publish("t", strings.Repeat("x", 1000), 1, 1))
		next[*packet.Ack](c)
	}
	c.bye()
}
