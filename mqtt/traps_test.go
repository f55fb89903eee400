package mqtt_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Tens of thousands of levels are refused in every packet that has a topic or
// a filter, before any tree is walked.
func TestDeepTopicsAreRefusedInEveryPacket(t *testing.T) {
	deep := strings.Repeat("a/", 30_000) + "a"
	for _, c := range []struct {
		name string
		send packet.Packet
		want packet.ReasonCode
	}{
		{"PUBLISH", publish(deep, "", 1, 1), packet.TopicNameInvalid},
		{"PUBLISH, retained", publish(deep, "x", 0, 0, func(p *packet.Publish) { p.Retain = true }), packet.TopicNameInvalid},
		{"response topic", publish("a", "", 0, 0, func(p *packet.Publish) { p.Properties.ResponseTopic = deep }), packet.TopicNameInvalid},
		{"SUBSCRIBE", &packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: deep}}}, packet.TopicFilterInvalid},
		{"SUBSCRIBE +/+/…", &packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: strings.Repeat("+/", 30_000) + "#"}}}, packet.TopicFilterInvalid},
		{"SUBSCRIBE, shared", &packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: "$share/g/" + deep}}}, packet.TopicFilterInvalid},
		{"UNSUBSCRIBE", &packet.Unsubscribe{PacketID: 1, Filters: []string{deep}}, packet.TopicFilterInvalid},
	} {
		for _, v := range []packet.Version{packet.V311, packet.V5} {
			if v == packet.V311 && c.name == "response topic" {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				run(t, plain(), func(b *bed) {
					client := b.connect(v, "c")
					client.send(c.send)
					client.disconnected(c.want)
				})
			})
		}
	}
	run(t, plain(), func(b *bed) {
		_, ack := b.login(packet.V5, "w", willed(packet.Will{Topic: deep}))
		equal(t, "will, 5.0", ack.Reason, packet.TopicNameInvalid)
		c := b.dial(packet.V311)
		c.send(hello("w", willed(packet.Will{Topic: deep})))
		c.closed()
	})
}

// A client that reconnects as fast as it can always hears what it subscribed
// to, clean or not, ten thousand times.
func TestTenThousandQuickReconnectsLeaveNoDeafSession(t *testing.T) {
	const clients, rounds = 8, 10_000 / 8
	run(t, plain(), func(b *bed) {
		var all sync.WaitGroup
		for i := range clients {
			v := []packet.Version{packet.V311, packet.V5}[i%2]
			all.Go(func() {
				topic := fmt.Sprint("t/", i)
				for round := range rounds {
					c := b.dial(v)
					c.send(hello(fmt.Sprint("same", i)))
					next[*packet.Connack](c)
					c.subscribe(topic, 1)
					c.send(publish(topic, fmt.Sprint(round), 0, 0))
					c.gets(topic, fmt.Sprint(round))
				}
			})
		}
		all.Wait()
		synctest.Wait()
		equal(t, "connections", b.server.Stats().Connections, clients)
		equal(t, "subscriptions", b.server.Stats().Subscriptions, clients)
	})
}

// The same identifiers and the same connect: an identifier in flight survives
// a restart, and one that is new after it is not taken for it.
func TestIdentifiersInFlightSurviveARestart(t *testing.T) {
	store := mqtt.NewMemoryStore()
	ids := map[uint16]string{}
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		sub := b.connect(packet.V311, "sub", lasting)
		sub.subscribe("#", 1)
		pub := b.connect(packet.V311, "pub")
		for i := range 10 {
			pub.publish1("a", fmt.Sprint(i))
			p := sub.gets("a", fmt.Sprint(i))
			ids[p.PacketID] = fmt.Sprint(i)
		}
	})
	for range 2 { // and a second one
		run(t, mqtt.Config{Store: store}, func(b *bed) {
			sub, ack := b.login(packet.V311, "sub", lasting)
			equal(t, "session present", ack.SessionPresent, true)
			for i := range 10 {
				p := sub.gets("a", fmt.Sprint(i))
				equal(t, "identifier and DUP", [2]any{ids[p.PacketID], p.Dup}, [2]any{fmt.Sprint(i), true})
			}
			b.connect(packet.V311, "pub").publish1("a", "new")
			p := sub.gets("a", "new")
			if was, taken := ids[p.PacketID]; taken {
				t.Errorf("the new message has the identifier of %q", was)
			}
			sub.ack(packet.PUBACK, p.PacketID)
			synctest.Wait()
		})
	}
}

// Nobody subscribes: 0x10, for a publish that was taken; never 0x01, which is
// a granted QoS.
func TestPubackReasonsAreThoseOfTheirTable(t *testing.T) {
	run(t, plain(), func(b *bed) {
		c := b.connect(packet.V5, "c")
		for _, qos := range []byte{1, 2} {
			c.send(publish("nobody", "", qos, 5))
			a := next[*packet.Ack](c)
			equal(t, "reason", a.Reason, packet.NoMatchingSubscribers)
			equal(t, "properties", [2]any{a.ReasonString, len(a.User)}, [2]any{"", 0})
			if qos == 2 {
				c.ack(packet.PUBREL, 5)
				equal(t, "PUBCOMP", next[*packet.Ack](c).Reason, packet.Success)
			}
		}
		b.connect(packet.V5, "sub").subscribe("nobody", 2)
		equal(t, "granted QoS 2 is no reason of PUBACK", c.publish1("nobody", "").Reason, packet.Success)
	})
}

// Every way to refuse or end a 3.1.1 client: what it gets has the form and the
// codes of 3.1.1, and there is no DISCONNECT. The client's side of the tests
// decodes as 3.1.1 and fails over anything else.
func TestCodesOf50AreNeverSentTo311(t *testing.T) {
	g := &gate{allow: []string{"publish ok", "subscribe ok"}}
	cfg := mqtt.Config{Authorizer: g, Limits: mqtt.Limits{Subscriptions: 1, TopicLevels: 4}}
	run(t, cfg, func(b *bed) {
		c := b.connect(packet.V311, "c", func(p *packet.Connect) { p.KeepAlive = 10 })
		equal(t, "refused publish", *c.publish1("bad", ""), packet.Ack{Type: packet.PUBACK, PacketID: 77})
		for filter, want := range map[string]packet.ReasonCode{"bad": 0x80, "$SYS/#": 0x80, "a/b/c/d/e": 0x80, "ok": 0x01} {
			equal(t, filter, c.subscribe(filter, 1).Reasons[0], want)
		}
		c.ack(packet.PUBREL, 9)
		equal(t, "PUBCOMP of nothing", *next[*packet.Ack](c), packet.Ack{Type: packet.PUBCOMP, PacketID: 9})
		c.ack(packet.PUBREC, 9)
		equal(t, "PUBREL of nothing", *next[*packet.Ack](c), packet.Ack{Type: packet.PUBREL, PacketID: 9})
		c.closed() // the keep alive
		for name, end := range map[string]func(c *client){
			"kicked": func(*client) {
				b.server.Disconnect(func(*mqtt.Client) bool { return true }, packet.NotAuthorized, "no")
			},
			"taken over": func(*client) { b.connect(packet.V311, "c") },
			"too large":  func(c *client) { c.raw("30 ff ff ff 7f") },
			"malformed":  func(c *client) { c.raw("f0 00") },
		} {
			t.Log(name)
			c := b.connect(packet.V311, "c")
			end(c)
			c.closed()
		}
	})
}

// A thousand connections announce packets of 254 MB; nothing is set aside for
// what has not arrived.
func TestClaimedLengthIsNeverAllocated(t *testing.T) {
	const connections = 1000
	b := start(t, mqtt.Config{Limits: mqtt.Limits{PacketSize: -1, ConnectSize: -1}})
	defer b.stop()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = b.server.Serve(l) }()
	before := heap()
	for i := range connections {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		wire := hello(fmt.Sprint("c", i)).Append(nil, packet.V5)
		if i%2 == 0 { // before CONNECT and after it
			wire = nil
		}
		wire = append(wire, 0x10|byte(i%2)<<5, 0x80, 0x80, 0x80, 0x7f, 0, 4, 'M', 'Q', 'T', 'T')
		if _, err := nc.Write(wire); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(20 * time.Second); b.server.Stats().Accepted < connections || b.server.Stats().Connections < connections/2; {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, want %d connections", b.server.Stats(), connections)
		}
		runtime.Gosched()
	}
	grown := int64(heap()) - int64(before)
	t.Logf("%d connections that announce 254 MB each: %d bytes each", connections, grown/connections)
	if grown > connections*32<<10 {
		t.Errorf("memory grew by %d bytes, want less than 32 KB for each connection", grown)
	}
}

// heap gives the bytes of heap and stacks that are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // pools give back what they hold at the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// A subscriber with QoS 1 that is slow, away or stuck: after its publisher was
// acked the message is delivered, or its loss is reported. Sum: nothing
// silent.
func TestNoAckedMessageIsDroppedSilently(t *testing.T) {
	const messages = 200
	for name, session := range map[string]func(*packet.Connect){"stored": lasting, "transient": func(*packet.Connect) {}} {
		var mu sync.Mutex
		reported, ended := 0, false
		cfg := mqtt.Config{Limits: mqtt.Limits{QueueMessages: 50, TransientMessages: 50, MemoryQueue: 5, InflightOut: 10, OutboundBytes: 500}}
		cfg.Observer.Dropped = func(d mqtt.Drop) { mu.Lock(); reported += max(1, d.Count); mu.Unlock() }
		cfg.Observer.Disconnected = func(_ *mqtt.Client, e mqtt.End) {
			mu.Lock()
			ended = ended || e.Cause == mqtt.CauseSlow
			mu.Unlock()
		}
		run(t, cfg, func(b *bed) {
			sub := b.connect(packet.V5, "sub", session)
			sub.subscribe("#", 1)
			pub := b.connect(packet.V5, "pub")
			got := map[string]bool{}
			for i := range messages {
				equal(t, "acked", pub.publish1("t", fmt.Sprint(i)).Reason.IsError(), false)
			}
			synctest.Wait()
			sub.drop()
			if name == "transient" {
				mu.Lock()
				defer mu.Unlock()
				equal(t, "the connection is closed and says why", ended, true)
				return
			}
			sub = b.connect(packet.V5, "sub", session)
			for synctest.Wait(); len(sub.frames) > 0; synctest.Wait() {
				p := next[*packet.Publish](sub)
				got[string(p.Payload)] = true
				sub.ack(packet.PUBACK, p.PacketID)
			}
			mu.Lock()
			defer mu.Unlock()
			equal(t, "delivered and reported", len(got)+reported, messages)
			equal(t, "counted", b.server.Stats().Dropped, uint64(reported))
		})
	}
}

// A subscription that was allowed once is asked about again when its client
// is back, and at once when the application says so.
func TestStoredSubscriptionsAreAuthorisedAgain(t *testing.T) {
	g := &gate{allow: []string{"subscribe a", "subscribe b", "publish w"}}
	store := mqtt.NewMemoryStore()
	cfg := mqtt.Config{Authorizer: g, Store: store}
	revoke := func(what ...string) {
		g.mu.Lock()
		g.allow = what
		g.mu.Unlock()
	}
	will := willed(packet.Will{Topic: "w"})
	run(t, cfg, func(b *bed) {
		c := b.connect(packet.V5, "c", lasting)
		c.subscribe("a", 1)
		c.subscribe("$share/g/b", 1)
		c.drop()
		revoke("subscribe b", "publish w")
		c = b.connect(packet.V5, "c", lasting, will)
		b.server.Publish(&mqtt.Message{Topic: "a", QoS: 1}, nil)
		b.server.Publish(&mqtt.Message{Topic: "b", QoS: 1}, nil)
		c.ack(packet.PUBACK, c.gets("b", "").PacketID)
		c.quiet()
		everybody := func(*mqtt.Client) bool { return true }
		equal(t, "nothing to take", b.server.Reauthorize(everybody), 0)
		revoke()
		equal(t, "clients that lost something", b.server.Reauthorize(everybody), 1)
		c.disconnected(packet.NotAuthorized)
		equal(t, "subscriptions", b.server.Stats().Subscriptions, 0)
	})
	_ = store.Load(context.Background(), mqtt.Visitor{
		Retained: func(*mqtt.Message) error { return nil },
		Session: func(s mqtt.StoredSession) error {
			equal(t, "stored subscriptions", len(s.Subscriptions), 0)
			equal(t, "will", s.Record.Will, nil)
			return nil
		},
	})
}

// The observer may ask the server about everything, also when a queue is full.
func TestObserverMayAskTheServer(t *testing.T) {
	var server *mqtt.Server
	asked := 0
	cfg := mqtt.Config{Limits: mqtt.Limits{QueueMessages: 2}}
	cfg.Observer.Dropped = func(mqtt.Drop) {
		asked += len(server.Clients()) + server.Stats().Queued
		server.Publish(&mqtt.Message{Topic: "dropped"}, nil)
	}
	run(t, cfg, func(b *bed) {
		server = b.server
		sub := b.connect(packet.V5, "sub", lasting, func(p *packet.Connect) { p.ReceiveMaximum = 1 })
		sub.subscribe("t", 1)
		pub := b.connect(packet.V5, "pub")
		for range 5 {
			pub.publish1("t", "x")
		}
		synctest.Wait()
		if asked == 0 {
			t.Error("the observer was not called")
		}
		for _, c := range b.server.Clients() {
			if c.Session.ClientID == "sub" && c.Dropped == 0 {
				t.Error("the drops of its queue are not in the client's counts")
			}
		}
	})
}
