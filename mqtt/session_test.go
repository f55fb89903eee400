package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// faulty is a store whose commits wait for the test, or fail.
type faulty struct {
	*mqtt.MemoryStore
	mu   sync.Mutex
	hold bool
	fail error
	held []func()
}

func (f *faulty) Commit(changes []mqtt.Change, done func(error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		done(f.fail)
		return
	}
	copied := append([]mqtt.Change(nil), changes...)
	if f.hold {
		f.held = append(f.held, func() { f.MemoryStore.Commit(copied, done) })
		return
	}
	f.MemoryStore.Commit(copied, done)
}

func (f *faulty) set(hold bool, fail error) {
	f.mu.Lock()
	held := f.held
	f.held, f.hold, f.fail = nil, hold, fail
	f.mu.Unlock()
	for _, run := range held {
		run()
	}
}

// Queued messages come back in order, without DUP on their first delivery,
// and with what was in flight before first.
func TestOfflineQueueKeepsOrder(t *testing.T) {
	both(t, func() mqtt.Config { return mqtt.Config{Limits: mqtt.Limits{MemoryQueue: 3, InflightOut: 5}} }, func(b *bed, v packet.Version) {
		sub := b.connect(v, "sub", lasting)
		sub.subscribe("#", 1)
		pub := b.connect(v, "pub")
		pub.publish1("t", "0")
		first := sub.gets("t", "0")
		sub.drop()
		for i := 1; i <= 20; i++ {
			pub.publish1("t", fmt.Sprint(i))
		}
		sub, ack := b.login(v, "sub", lasting)
		equal(t, "session present", ack.SessionPresent, true)
		for i := range 21 {
			p := sub.gets("t", fmt.Sprint(i))
			equal(t, fmt.Sprint("DUP of ", i), p.Dup, i == 0)
			if i == 0 {
				equal(t, "packet id of what is sent again", p.PacketID, first.PacketID)
			}
			sub.ack(packet.PUBACK, p.PacketID)
		}
		sub.quiet()
	})
}

// A publisher is acked when its message is stored for every stored session.
func TestAckWaitsForTheSessionStore(t *testing.T) {
	store := &faulty{MemoryStore: mqtt.NewMemoryStore()}
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		sub := b.connect(packet.V5, "sub", lasting)
		sub.subscribe("#", 1)
		pub := b.connect(packet.V5, "pub")
		store.set(true, nil)
		pub.send(publish("a", "1", 1, 1))
		pub.quiet()
		sub.quiet()
		store.set(false, nil)
		equal(t, "reason", next[*packet.Ack](pub).Reason, packet.Success)
		sub.gets("a", "1")

		store.set(false, errors.New("disk full"))
		equal(t, "reason when the store fails", pub.publish1("a", "2").Reason, packet.UnspecifiedError)
		sub.quiet()
		store.set(false, nil)
		pub.publish1("a", "3")
		sub.gets("a", "3")
	})
}

// A store survives its server: subscriptions, queue, order, identifiers.
func TestSessionSurvivesARestart(t *testing.T) {
	store := mqtt.NewMemoryStore()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, mqtt.Config{Store: store})
		sub := b.connect(packet.V5, "sub", lasting)
		sub.subscribe("a/+", 2)
		pub := b.connect(packet.V5, "pub", lasting)
		pub.send(publish("a/r", "kept", 1, 1, func(p *packet.Publish) { p.Retain = true }), publish("a/2", "two", 2, 2))
		next[*packet.Ack](pub)
		next[*packet.Ack](pub)
		one, two := sub.gets("a/r", "kept"), sub.gets("a/2", "two")
		sub.ack(packet.PUBREC, two.PacketID)
		equal(t, "PUBREL", next[*packet.Ack](sub).Type, packet.PUBREL)
		synctest.Wait()
		b.stop()

		b = start(t, mqtt.Config{Store: store})
		defer b.stop()
		pub, ack := b.login(packet.V5, "pub", lasting)
		equal(t, "publisher's session", ack.SessionPresent, true)
		pub.send(publish("a/2", "two", 2, 2, func(p *packet.Publish) { p.Dup = true }))
		equal(t, "what was received is not new", next[*packet.Ack](pub).Reason, packet.Success)
		pub.ack(packet.PUBREL, 2)
		next[*packet.Ack](pub)
		pub.publish1("a/3", "three")
		sub, ack = b.login(packet.V5, "sub", lasting)
		equal(t, "subscriber's session", ack.SessionPresent, true)
		p := sub.gets("a/r", "kept")
		equal(t, "sent again", [2]any{p.Dup, p.PacketID}, [2]any{true, one.PacketID})
		rel := next[*packet.Ack](sub)
		equal(t, "PUBREL again", [2]any{rel.Type, rel.PacketID}, [2]any{packet.PUBREL, two.PacketID})
		p = sub.gets("a/3", "three")
		equal(t, "first time", p.Dup, false)
		late := b.connect(packet.V5, "late")
		late.subscribe("a/r", 0)
		equal(t, "retained flag", late.gets("a/r", "kept").Retain, true)
	})
}

func TestFullQueueDropsTheOldestAndSaysSo(t *testing.T) {
	var drops []mqtt.Drop
	cfg := mqtt.Config{Limits: mqtt.Limits{QueueMessages: 3}}
	cfg.Observer.Dropped = func(d mqtt.Drop) { drops = append(drops, d) }
	run(t, cfg, func(b *bed) {
		sub := b.connect(packet.V5, "sub", lasting)
		sub.subscribe("#", 1)
		sub.drop()
		pub := b.connect(packet.V5, "pub")
		for i := range 5 {
			pub.publish1("t", fmt.Sprint(i))
		}
		sub = b.connect(packet.V5, "sub", lasting)
		for i := 2; i < 5; i++ {
			sub.gets("t", fmt.Sprint(i))
		}
		sub.quiet()
		equal(t, "drops", len(drops), 2)
		equal(t, "session and reason", [2]any{drops[0].Session.ClientID, drops[0].Reason}, [2]any{"sub", mqtt.DropQueueFull})
	})
}

// A message expires in the queue; what is left of its time is sent on; none
// is added to a message without.
func TestMessageExpiry(t *testing.T) {
	run(t, plain(), func(b *bed) {
		sub := b.connect(packet.V5, "sub", lasting)
		sub.subscribe("#", 1)
		sub.drop()
		pub := b.connect(packet.V5, "pub")
		expiry := func(s uint32) func(*packet.Publish) {
			return func(p *packet.Publish) { p.Properties.MessageExpiry = &s }
		}
		pub.publish1("a", "short", expiry(5))
		pub.publish1("a", "long", expiry(100))
		pub.publish1("a", "none")
		time.Sleep(10 * time.Second)
		sub = b.connect(packet.V5, "sub", lasting)
		p := sub.gets("a", "long")
		equal(t, "remaining", *p.Properties.MessageExpiry, 90)
		equal(t, "none", sub.gets("a", "none").Properties.MessageExpiry, nil)
		sub.quiet()
	})
}

func TestSessionExpiry(t *testing.T) {
	run(t, plain(), func(b *bed) {
		minute := func(p *packet.Connect) { p.CleanStart, p.SessionExpiry = false, 60 }
		b.connect(packet.V5, "c", minute).bye()
		time.Sleep(50 * time.Second)
		c, ack := b.login(packet.V5, "c", minute)
		equal(t, "after 50 s", ack.SessionPresent, true)
		c.bye()
		time.Sleep(61 * time.Second)
		equal(t, "sessions after 61 s", b.server.Stats().Sessions, 0)
		c, ack = b.login(packet.V5, "c", minute)
		equal(t, "present after 61 s", ack.SessionPresent, false)
		c.send(&packet.Disconnect{SessionExpiry: ptr(uint32(0))})
		<-c.end
		synctest.Wait()
		equal(t, "sessions after DISCONNECT with expiry 0", b.server.Stats().Sessions, 0)
		c = b.connect(packet.V5, "d")
		c.send(&packet.Disconnect{SessionExpiry: ptr(uint32(5))})
		c.disconnected(packet.ProtocolError)
	})
}

// The end of an old connection does not undo the beginning of a new one.
func TestQuickReconnectIsNotDeaf(t *testing.T) {
	both(t, plain, func(b *bed, v packet.Version) {
		pub := b.connect(v, "pub")
		var old *client
		for i := range 50 {
			c := b.connect(v, "sub")
			c.subscribe("t", 1)
			if old != nil {
				old.disconnected(packet.SessionTakenOver)
			}
			pub.publish1("t", fmt.Sprint(i))
			c.gets("t", fmt.Sprint(i))
			old = c
		}
	})
}

func TestSameClientIDOfTwoUsersAreTwoSessions(t *testing.T) {
	run(t, mqtt.Config{Authenticator: names{}}, func(b *bed) {
		user := func(name string) func(*packet.Connect) {
			return func(p *packet.Connect) { p.HasUsername, p.Username = true, name }
		}
		a := b.connect(packet.V5, "same", user("a"))
		b.connect(packet.V5, "same", user("b"))
		a.quiet()
		a.send(packet.Pingreq{})
		next[packet.Pingresp](a)
	})
}

// names takes every user name but "evil".
type names struct{}

func (names) Authenticate(_ context.Context, r *mqtt.ConnectRequest) (mqtt.User, error) {
	if r.Username == "evil" {
		return mqtt.User{}, &mqtt.Refusal{Reason: packet.BadUserNameOrPassword, Text: "wrong password"}
	}
	return mqtt.User{Name: r.Username, Service: r.Username == "service"}, nil
}

// Subscriber's QoS 2: PUBREL waits for the store, and the exchange goes on
// after a reconnect where it was.
func TestExactlyOnceOutbound(t *testing.T) {
	store := &faulty{MemoryStore: mqtt.NewMemoryStore()}
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		sub := b.connect(packet.V5, "sub", lasting)
		sub.subscribe("#", 2)
		pub := b.connect(packet.V5, "pub")
		pub.send(publish("a", "x", 2, 1))
		p := sub.gets("a", "x")
		store.set(true, nil)
		sub.ack(packet.PUBREC, p.PacketID)
		sub.quiet()
		store.set(false, nil)
		equal(t, "PUBREL", next[*packet.Ack](sub).Type, packet.PUBREL)
		sub.drop()
		sub = b.connect(packet.V5, "sub", lasting)
		rel := next[*packet.Ack](sub)
		equal(t, "PUBREL again, no PUBLISH", [2]any{rel.Type, rel.PacketID}, [2]any{packet.PUBREL, p.PacketID})
		sub.ack(packet.PUBCOMP, p.PacketID)
		synctest.Wait()
		equal(t, "queued", b.server.Stats().Queued, 0)
	})
}

// What the observer hears of one session alternates, however its connections
// push each other out.
func TestObserverHearsConnectAndDisconnectInTurn(t *testing.T) {
	var mu sync.Mutex
	var heard []bool
	hear := func(connected bool) {
		mu.Lock()
		heard = append(heard, connected)
		mu.Unlock()
	}
	var cfg mqtt.Config
	cfg.Observer.Connected = func(*mqtt.Client, bool) { hear(true) }
	cfg.Observer.Disconnected = func(*mqtt.Client, mqtt.End) { hear(false) }
	run(t, cfg, func(b *bed) {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { b.dial(packet.V5).send(hello("same", lasting)) })
		}
		all.Wait()
		synctest.Wait()
		equal(t, "connections", b.server.Stats().Connections, 1)
		for i, connected := range heard {
			equal(t, fmt.Sprint("event ", i), connected, i%2 == 0)
		}
	})
}
