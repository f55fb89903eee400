package mqtt_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// odd refuses "odd" with a reason that CONNACK does not have.
type odd struct{}

func (odd) Authenticate(_ context.Context, r *mqtt.ConnectRequest) (mqtt.User, error) {
	if r.ClientID == "odd" {
		return mqtt.User{}, &mqtt.Refusal{Reason: packet.ReceiveMaximumExceeded}
	}
	return mqtt.User{}, nil
}

// copied is what a store holds at one moment, as a crash leaves it.
func copied(t *testing.T, s mqtt.Store) *mqtt.MemoryStore {
	t.Helper()
	at := mqtt.NewMemoryStore()
	var changes []mqtt.Change
	err := s.Load(context.Background(), mqtt.Visitor{
		Retained: func(m *mqtt.Message) error {
			changes = append(changes, mqtt.Change{Kind: mqtt.Retain, Message: m, Topic: m.Topic})
			return nil
		},
		Session: func(x mqtt.StoredSession) error {
			changes = append(changes, mqtt.Change{Kind: mqtt.SaveSession, Session: x.ID, Record: &x.Record})
			for _, sub := range x.Subscriptions {
				changes = append(changes, mqtt.Change{Kind: mqtt.AddSubscription, Session: x.ID, Subscription: &sub})
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	at.Commit(changes, func(error) {})
	return at
}

// A will outlives a crash also of a session that would have ended with its
// connection. [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-10]
func TestEveryWillSurvivesACrash(t *testing.T) {
	store := mqtt.NewMemoryStore()
	var crash *mqtt.MemoryStore
	gone := willed(packet.Will{Topic: "w", Payload: []byte("x"), Retain: true})
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		b.connect(packet.V311, "clean", gone)
		b.connect(packet.V5, "said goodbye", gone).bye()
		synctest.Wait()
		crash = copied(t, store)
		equal(t, "sessions", b.server.Stats().Sessions, 1)
	})
	run(t, mqtt.Config{Store: crash}, func(b *bed) {
		watch := b.connect(packet.V5, "watch")
		watch.subscribe("w", 0)
		time.Sleep(time.Second)
		watch.gets("w", "x")
		synctest.Wait()
		watch.quiet()
		equal(t, "sessions", b.server.Stats().Sessions, 1)
	})
	var sessions int
	_ = crash.Load(context.Background(), mqtt.Visitor{
		Session:  func(mqtt.StoredSession) error { sessions++; return nil },
		Retained: func(*mqtt.Message) error { return nil },
	})
	equal(t, "records left", sessions, 0)
}

// A stop of the server ends sessions that end with their connections, so it
// publishes their wills; those of stored sessions wait for the next start.
func TestStopPublishesTheWillsOfSessionsThatEnd(t *testing.T) {
	store := mqtt.NewMemoryStore()
	retained := func(topic string) func(*packet.Connect) {
		return willed(packet.Will{Topic: topic, Payload: []byte("x"), QoS: 1, Retain: true})
	}
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		b.connect(packet.V5, "a", retained("ends"))
		b.connect(packet.V5, "b", lasting, retained("stays"))
	})
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		watch := b.connect(packet.V5, "watch")
		watch.subscribe("#", 1)
		equal(t, "published at the stop", watch.gets("ends", "x").Retain, true)
		time.Sleep(time.Second)
		watch.gets("stays", "x")
		watch.quiet()
	})
}

// [MQTT-3.1.2-14]
func TestWillWithoutRetainIsNotRetained(t *testing.T) {
	both(t, plain, func(b *bed, v packet.Version) {
		b.connect(v, "c", willed(packet.Will{Topic: "w", Payload: []byte("x")})).drop()
		b.connect(v, "watch").subscribe("w", 0)
		equal(t, "retained", b.server.Stats().Retained, 0)
	})
}
