package mqtt_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// A retained message whose time has passed is gone, here and in the store, and
// the one after it is not.
func TestRetainedMessagesExpire(t *testing.T) {
	store := mqtt.NewMemoryStore()
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		retain := func(seconds uint32) func(*packet.Publish) {
			return func(p *packet.Publish) {
				p.Retain = true
				if seconds > 0 {
					p.Properties.MessageExpiry = &seconds
				}
			}
		}
		pub := b.connect(packet.V5, "pub")
		pub.publish1("short", "1", retain(5))
		pub.publish1("replaced", "1", retain(5))
		pub.publish1("replaced", "2", retain(0))
		pub.publish1("long", "1", retain(100))
		pub.publish1("cleared", "1", retain(7))
		pub.publish1("cleared", "", retain(0))
		equal(t, "retained", b.server.Stats().Retained, 3)
		time.Sleep(10 * time.Second)
		equal(t, "retained after 10 s", b.server.Stats().Retained, 2)
		sub := b.connect(packet.V5, "sub")
		sub.subscribe("long", 0)
		equal(t, "what is left", *sub.gets("long", "1").Properties.MessageExpiry, 90)
		pub.publish1("short", "again", retain(0))
	})
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		equal(t, "stored", b.server.Stats().Retained, 3)
		sub := b.connect(packet.V5, "sub")
		sub.subscribe("short", 0)
		sub.gets("short", "again")
	})
}

// Retained messages that a client had no time to take go on when it is back.
func TestWaitingRetainedMessagesSurviveAReconnect(t *testing.T) {
	run(t, mqtt.Config{Limits: mqtt.Limits{InflightOut: 3}}, func(b *bed) {
		const n = 50
		for i := range n {
			b.server.Publish(&mqtt.Message{Topic: fmt.Sprint("a/", i%2, "/", i), Payload: []byte("x"), QoS: 1, Retain: true}, nil)
		}
		synctest.Wait()
		sub := b.connect(packet.V5, "sub", lasting)
		sub.send(&packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: "a/0/+", QoS: 1}, {Filter: "a/1/+", QoS: 1}}})
		next[*packet.Suback](sub)
		seen := map[string]bool{}
		for round := 0; len(seen) < n && round < n; round++ {
			for range 3 {
				p := next[*packet.Publish](sub)
				seen[string(p.Topic)] = true
				equal(t, "retain flag", p.Retain, true)
				sub.ack(packet.PUBACK, p.PacketID)
				if len(seen) == n {
					break
				}
			}
			synctest.Wait()
			sub.drop()
			sub = b.connect(packet.V5, "sub", lasting)
		}
		equal(t, "topics", len(seen), n)
	})
}

// Who subscribes again and again before it reads makes nothing grow, and who
// unsubscribes gets no more.
func TestRetainedMessagesOfManySubscribesWaitOnce(t *testing.T) {
	run(t, mqtt.Config{Limits: mqtt.Limits{InflightOut: 1, Subscriptions: 5}}, func(b *bed) {
		for i := range 10 {
			b.server.Publish(&mqtt.Message{Topic: fmt.Sprint("a/", i), Payload: []byte("x"), QoS: 1, Retain: true}, nil)
		}
		synctest.Wait()
		sub := b.connect(packet.V5, "sub")
		for range 100 {
			sub.send(&packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: "a/+", QoS: 1}}})
		}
		got := 0
		for synctest.Wait(); len(sub.frames) > 0; synctest.Wait() {
			if p, ok := (<-sub.frames).(*packet.Publish); ok {
				got++
				sub.ack(packet.PUBACK, p.PacketID)
			}
		}
		if got < 20 || got > 70 {
			t.Errorf("got %d retained messages, want those of the first subscription and of five that waited at most", got)
		}
		sub.subscribe("a/#", 1)
		p := next[*packet.Publish](sub)
		sub.send(&packet.Unsubscribe{PacketID: 2, Filters: []string{"a/#"}})
		next[*packet.Suback](sub)
		sub.ack(packet.PUBACK, p.PacketID)
		sub.quiet()
	})
}

// One SUBSCRIBE cannot be more work than its session may have subscriptions.
func TestFiltersOfOneSubscribeAreBounded(t *testing.T) {
	run(t, mqtt.Config{Limits: mqtt.Limits{Subscriptions: 2}}, func(b *bed) {
		c := b.connect(packet.V5, "c")
		c.send(&packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: "a"}, {Filter: "a"}, {Filter: "a"}}})
		equal(t, "reasons", next[*packet.Suback](c).Reasons, []packet.ReasonCode{0, 0, packet.QuotaExceeded})
	})
}

// The application cannot publish what would break its clients.
func TestOwnPublishIsTested(t *testing.T) {
	run(t, plain(), func(b *bed) {
		for _, m := range []mqtt.Message{{Topic: "a/#"}, {Topic: ""}, {Topic: "a", QoS: 3}, {Topic: "\xff"}} {
			var got error
			b.server.Publish(&m, func(err error) { got = err })
			var fault *packet.Error
			if !errors.As(got, &fault) {
				t.Errorf("%+v: error %v, want an *Error", m, got)
			}
		}
	})
}
