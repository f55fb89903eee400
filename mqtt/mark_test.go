package mqtt_test

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// slowMarks is a store that commits MarkSent changes when the test says so.
type slowMarks struct {
	mqtt.Store
	mu   sync.Mutex
	held []func()
}

func (s *slowMarks) Commit(changes []mqtt.Change, done func(error)) {
	if changes[0].Kind != mqtt.MarkSent {
		s.Store.Commit(changes, done)
		return
	}
	own := append([]mqtt.Change{}, changes...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = append(s.held, func() { s.Store.Commit(own, done) })
}

// release commits what is held and says how many commits it was.
func (s *slowMarks) release() int {
	s.mu.Lock()
	held := s.held
	s.held = nil
	s.mu.Unlock()
	for _, commit := range held {
		commit()
	}
	synctest.Wait()
	return len(held)
}

// If the server is killed right after a message went out, its next delivery
// has DUP: the store knows before the client does [MQTT-3.3.1-1].
func TestStoredMessageLeavesWhenTheStoreKnowsThatItWasSent(t *testing.T) {
	store := &slowMarks{Store: mqtt.NewMemoryStore()}
	run(t, mqtt.Config{Store: store}, func(b *bed) {
		narrow := func(p *packet.Connect) { lasting(p); p.ReceiveMaximum = 2 }
		sub := b.connect(packet.V5, "sub", narrow)
		sub.subscribe("t", 1)
		sub.bye()
		pub := b.connect(packet.V5, "pub")
		for _, m := range []string{"1", "2", "3"} {
			pub.publish1("t", m)
		}
		sub = b.connect(packet.V5, "sub", narrow)
		sub.quiet() // nothing before the store knows
		equal(b.t, "commits for the first window", store.release(), 1)
		first := sub.gets("t", "1")
		second := sub.gets("t", "2")
		sub.ack(packet.PUBACK, first.PacketID)
		sub.quiet() // nor the message that now has room
		equal(b.t, "commits for the next message", store.release(), 1)
		third := sub.gets("t", "3")
		for _, p := range []*packet.Publish{first, second, third} {
			if p.Dup {
				b.t.Errorf("message %s has DUP on its first delivery", p.Payload)
			}
		}
		sub.drop()
		sub = b.connect(packet.V5, "sub", narrow)
		if again := sub.gets("t", "2"); !again.Dup || again.PacketID != second.PacketID {
			b.t.Errorf("message 2 after a reconnect: DUP %v, identifier %d; want DUP and identifier %d", again.Dup, again.PacketID, second.PacketID)
		}
	})
}
