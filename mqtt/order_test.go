package mqtt_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// shuffler commits what it gets in batches and acks each in random order.
type shuffler struct {
	store mqtt.Store
	mu    sync.Mutex
	batch []*mqtt.Inbound
	wake  chan struct{}
	rand  *rand.Rand
}

func (s *shuffler) HandlePublish(in *mqtt.Inbound) {
	s.mu.Lock()
	s.batch = append(s.batch, in)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *shuffler) loop() {
	for range s.wake {
		s.mu.Lock()
		batch := s.batch
		s.batch = nil
		s.mu.Unlock()
		var changes []mqtt.Change
		for _, in := range batch {
			changes = append(changes, in.Changes...)
		}
		s.rand.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		s.store.Commit(changes, func(error) {
			for _, in := range batch {
				in.Ack(packet.Success, "")
			}
		})
	}
}

// Messages of one publisher reach every subscriber in their order, stored
// session or not, also over a lost connection, whatever the handler's order.
func TestOrderOfEachPublisher(t *testing.T) {
	const publishers, messages = 10, 200
	h := &shuffler{store: mqtt.NewMemoryStore(), rand: rand.New(rand.NewPCG(1, 2))}
	cfg := mqtt.Config{Handler: h, Store: h.store, Limits: mqtt.Limits{MemoryQueue: 20, InflightOut: 10}}
	run(t, cfg, func(b *bed) {
		h.wake = make(chan struct{}, 1)
		var loop sync.WaitGroup
		loop.Go(h.loop)
		stored, live := b.connect(packet.V5, "stored", lasting), b.connect(packet.V5, "live")
		stored.subscribe("p/#", 1)
		live.subscribe("p/#", 1)
		var publishing sync.WaitGroup
		for p := range publishers {
			c := b.connect(packet.V5, fmt.Sprint("p", p))
			publishing.Go(func() {
				for i := range messages {
					c.send(publish(fmt.Sprint("p/", p), strconv.Itoa(i), byte(1+i%2), uint16(i+1)))
					a := next[*packet.Ack](c)
					if a.Type == packet.PUBREC {
						c.ack(packet.PUBREL, a.PacketID)
						next[*packet.Ack](c)
					}
				}
			})
		}
		read := make(chan struct{})
		go func() {
			inOrder(live, publishers, messages, messages*publishers)
			close(read)
		}()
		seen := inOrder(stored, publishers, messages, messages*publishers/3)
		stored.drop()
		publishing.Wait()
		<-read
		synctest.Wait()
		left := b.server.Stats().Queued
		stored = b.connect(packet.V5, "stored", lasting)
		more := inOrder(stored, publishers, messages, left)
		for p := range publishers {
			if last := max(more[p], seen[p]); last != messages-1 {
				t.Errorf("publisher %d: the last message is %d, want %d", p, last, messages-1)
			}
		}
		close(h.wake)
		loop.Wait()
	})
}

// inOrder takes n messages, acks them, and gives the last one of each
// publisher.
func inOrder(c *client, publishers, messages, n int) []int {
	c.t.Helper()
	last := make([]int, publishers)
	for p := range last {
		last[p] = -1
	}
	for range n {
		m := next[*packet.Publish](c)
		_, name, _ := strings.Cut(string(m.Topic), "/")
		p, _ := strconv.Atoi(name)
		i, _ := strconv.Atoi(string(m.Payload))
		if last[p] >= 0 && i != last[p]+1 || i >= messages {
			c.t.Errorf("publisher %d: got %d after %d", p, i, last[p])
		}
		last[p] = i
		c.ack(packet.PUBACK, m.PacketID)
	}
	return last
}
