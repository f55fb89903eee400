package mqtt_test

import (
	"context"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

var (
	packets = flag.Int("packets", 100_000, "random and mutated packets to send to one server")
	seed    = flag.Uint64("seed", 1, "of the random packets")
)

// attacker writes conversations that are right at first and wrong somewhere.
type attacker struct {
	rand    *rand.Rand
	version packet.Version
	sent    int
}

func (a *attacker) n(n int) int { return a.rand.IntN(n) }

func (a *attacker) text() string {
	return []string{"a", "a/b", "a/b/c", "/", "$SYS/x", "b", "a//b", "ü"}[a.n(8)]
}

func (a *attacker) filter() string {
	return []string{"#", "a/#", "+/b", "$share/g/#", "$share/h/a", "+", "a/b", "$SYS/#"}[a.n(8)]
}

func (a *attacker) properties() packet.PublishProperties {
	if a.n(3) > 0 {
		return packet.PublishProperties{}
	}
	expiry := uint32(a.n(3))
	return packet.PublishProperties{
		PayloadFormat: byte(a.n(2)), MessageExpiry: &expiry, ContentType: a.text(), ResponseTopic: a.text(),
		CorrelationData: []byte(a.text()), User: []packet.UserProperty{{Name: a.text(), Value: a.text()}},
	}
}

// connect names one of few sessions, so that connections meet in them.
func (a *attacker) connect() packet.Packet {
	c := &packet.Connect{
		ClientID: string(rune('a' + a.n(5))), CleanStart: a.n(2) == 0, KeepAlive: uint16(a.n(3)),
		RequestProblemInfo: a.n(2) == 0, ReceiveMaximum: uint16(1 + a.n(5)), SessionExpiry: uint32(a.n(2) * 60),
		TopicAliasMaximum: uint16(a.n(3)), MaximumPacketSize: uint32(a.n(2) * (40 + a.n(100))),
	}
	if a.n(20) == 0 {
		c.ClientID, c.SessionExpiry = "", 0
	}
	if a.n(3) == 0 {
		c.Will = &packet.Will{Topic: a.text(), Payload: []byte("w"), QoS: byte(a.n(3)), Retain: a.n(2) == 0, Delay: uint32(a.n(2)), Properties: a.properties()}
	}
	return c
}

func (a *attacker) packet() packet.Packet {
	id := uint16(1 + a.n(6))
	switch a.n(20) {
	case 0, 12:
		return &packet.Subscribe{PacketID: id, SubscriptionID: uint32(a.n(2)), Subscriptions: []packet.Subscription{
			{Filter: a.filter(), QoS: byte(a.n(3)), RetainAsPublished: a.n(2) == 0, RetainHandling: byte(a.n(3))}, {Filter: a.filter(), QoS: byte(a.n(3))},
		}}
	case 1:
		return &packet.Unsubscribe{PacketID: id, Filters: []string{a.filter()}}
	case 2:
		return packet.Pingreq{}
	case 3:
		if a.n(4) > 0 {
			return packet.Pingreq{}
		}
		return []packet.Packet{&packet.Disconnect{}, &packet.Disconnect{Reason: packet.DisconnectWithWill}, &packet.Auth{Reason: packet.ReAuthenticate, Method: "m"}, a.connect()}[a.n(4)]
	case 4, 5, 6, 7:
		return &packet.Ack{Type: packet.PUBACK + packet.Type(a.n(4)), PacketID: id}
	default:
		p := &packet.Publish{
			Topic: []byte(a.text()), QoS: byte(a.n(3)), Retain: a.n(4) == 0, PacketID: id,
			Payload: make([]byte, a.n(40)), Properties: a.properties(), TopicAlias: uint16(max(0, a.n(20)-17)),
		}
		p.Dup = p.QoS > 0 && a.n(4) == 0
		return p
	}
}

// conversation gives the bytes of one connection: a CONNECT and packets, of
// which some have wrong bits, or are cut off, or are nothing but noise.
func (a *attacker) conversation() []byte {
	a.version = []packet.Version{packet.V311, packet.V5}[a.n(2)]
	b := a.mutate(a.connect().Append(nil, a.version), 20)
	for range 1 + a.n(30) {
		if a.n(100) == 0 {
			for range a.n(30) {
				b = append(b, byte(a.rand.Uint32()))
			}
		}
		b = append(b, a.mutate(a.packet().Append(nil, a.version), 25)...)
		a.sent++
	}
	a.sent++
	return b
}

// mutate changes one in few packets.
func (a *attacker) mutate(b []byte, few int) []byte {
	if len(b) == 0 || a.n(few) > 0 { // 3.1.1 has no AUTH
		return b
	}
	switch a.n(4) {
	case 0:
		return b[:a.n(len(b))]
	case 1:
		return append(b, byte(a.rand.Uint32()))
	default:
		for range 1 + a.n(3) {
			b[a.n(len(b))] = byte(a.rand.Uint32())
		}
		return b
	}
}

// Random and mutated packets, on connections that come, take each other over
// and go, leave the server alive: no panic, no goroutine left, no memory that
// grows. The length of the run is a flag: make fuzz sends a million.
func TestMutatedPacketsLeaveTheServerAlive(t *testing.T) {
	cfg := mqtt.Config{Limits: mqtt.Limits{
		LoginDelay: -1, AcceptRate: -1, QueueMessages: 20, TransientMessages: 20, Retained: 20, SessionExpiry: time.Minute, Sessions: 100,
	}}
	cfg.Observer.Panic = func(_ *mqtt.Client, v any, stack, p []byte) { t.Errorf("panic %v over %x\n%s", v, p, stack) }
	s, err := mqtt.New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	const attackers = 4
	attack := func(seed uint64, n int) {
		var all sync.WaitGroup
		for i := range attackers {
			a := &attacker{rand: rand.New(rand.NewPCG(seed, uint64(i)))}
			all.Go(func() {
				for a.sent < n/attackers {
					overTheWire(s, a.conversation(), a.n(4) == 0)
				}
			})
		}
		all.Wait()
	}
	attack(*seed, *packets/5)
	before, goroutines := heap(), runtime.NumGoroutine()
	attack(*seed+1, *packets)
	grown := int64(heap()) - int64(before)
	t.Logf("%d packets, seed %d: heap and stacks grew by %d bytes; %+v", *packets, *seed, grown, s.Stats())
	if grown > 2<<20 {
		t.Errorf("memory grew by %d bytes, want no growth", grown)
	}
	if now := runtime.NumGoroutine(); now > goroutines+2*attackers {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
	if good := converse(s, hello("good").Append(nil, packet.V5), 10*time.Second); len(good) == 0 || packet.Type(good[0]>>4) != packet.CONNACK {
		t.Errorf("the next client got %x, want a CONNACK", good)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown = %v, want nil", err)
	}
}

// overTheWire has one conversation, in pieces or at once, and reads what comes
// until the server has answered it all, or has closed.
func overTheWire(s *mqtt.Server, data []byte, pieces bool) {
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() { s.ServeConn(theirs); close(done) }()
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(io.Discard, ours) })
	step := len(data)
	if pieces {
		step = 7
	}
	for len(data) > 0 {
		n := min(step, len(data))
		if _, err := ours.Write(data[:n]); err != nil {
			break
		}
		data = data[n:]
	}
	_ = ours.Close()
	<-done
	reading.Wait()
}
