package mqtt

import (
	"slices"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// retainedRequest is a subscription that may get retained messages.
type retainedRequest struct {
	SubscriptionRecord
	isNew bool
}

// replay is the retained messages on their way to a new subscription. There
// may be very many, so they wait here, outside of all queues, and go on as the
// client takes them; one subscription after the other, so that a client that
// subscribes again and again does not make them many times more.
type replay struct {
	filter   string
	messages []*Message
	qos      byte
	ids      []uint32
}

// sendRetained lets the retained messages follow that new subscriptions ask
// for. [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
func (s *session) sendRetained(requests []retainedRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range requests {
		r := &requests[i]
		_, _, shared := packet.ParseShared(r.Filter)
		if shared || r.RetainHandling == 2 || r.RetainHandling == 1 && !r.isNew || s.subs[r.Filter] == nil {
			continue
		}
		if over(len(s.asked)+1, s.srv.limits.Subscriptions) { // it asked for this one before
			s.askedNoMore(r.Filter)
		}
		s.asked = append(s.asked, *r)
	}
}

func (s *session) askedNoMore(filter string) {
	s.asked = slices.DeleteFunc(s.asked, func(r retainedRequest) bool { return r.Filter == filter })
}

// forgetRetained ends what a subscription waits for; s.mu is held.
func (s *session) forgetRetained(filter string) {
	s.askedNoMore(filter)
	if s.replay.filter == filter {
		s.replay = replay{}
	}
}

// expand looks up the messages of the next subscription that asked, when
// those of the one before are on their way. That may take long, so no lock of
// the session is held. Only who serves c calls it.
func (s *session) expand(c *conn) {
	for {
		s.mu.Lock()
		if s.conn != c || len(s.replay.messages) > 0 || len(s.asked) == 0 {
			s.mu.Unlock()
			return
		}
		r := s.asked[0]
		s.mu.Unlock()
		found := s.srv.retained.match(r.Filter)
		s.mu.Lock()
		if s.conn == c && len(s.asked) > 0 && s.asked[0] == r {
			s.asked = slices.Delete(s.asked, 0, 1)
			s.replay = replay{filter: r.Filter, messages: found, qos: r.QoS}
			if r.ID != 0 {
				s.replay.ids = []uint32{r.ID}
			}
		}
		s.mu.Unlock()
	}
}

// restRetained ends the wait when the connection does; s.mu is held. What is
// above QoS 0 belongs to a stored session, as far as its queue could hold it,
// and goes on with the next connection.
func (s *session) restRetained() {
	if !s.stored {
		s.asked, s.replay = nil, replay{}
		return
	}
	s.asked = slices.DeleteFunc(s.asked, func(r retainedRequest) bool { return r.QoS == 0 })
	n, limit := len(s.replay.messages), s.srv.limits.QueueMessages
	switch {
	case s.replay.qos == 0:
		s.replay = replay{}
	case over(n, limit):
		s.replay.messages = slices.Clone(s.replay.messages[:limit])
		s.dropped += uint64(n - limit)
		s.drops = append(s.drops, Drop{Session: s.id, Reason: DropQueueFull, QoS: s.replay.qos, Count: n - limit})
	}
}

// replayRetained sends waiting retained messages while there is room. It
// gives the changes that put those of a stored session into its queue; s.mu
// and c.mu are held.
func (s *session) replayRetained(c *conn) (reserved []Change) {
	now := s.srv.now()
	waiting := s.replay.messages
	done := 0
	for _, m := range waiting {
		qos := min(m.QoS, s.replay.qos)
		if !s.replayFits(c, qos) {
			break
		}
		done++
		// A newer message of the topic is delivered as every other; after it,
		// this one would be wrong.
		if m.expired(now) || !s.srv.retained.holds(m) {
			continue
		}
		d := delivery{session: s, qos: qos, retain: true, ids: s.replay.ids} // [MQTT-3.3.1-8 of 3.1.1]
		switch {
		case qos == 0:
			s.sendRetainedNow(c, m, d.ids)
		case s.stored:
			reserved = append(reserved, s.enqueueChange(m, d))
		default:
			s.enqueue(m, d, entryReady)
			s.queue.held++
		}
	}
	clear(waiting[:done])
	if s.replay.messages = waiting[done:]; len(s.replay.messages) == 0 {
		s.replay = replay{}
		if len(s.asked) > 0 {
			c.wake()
		}
	}
	return reserved
}

func (s *session) sendRetainedNow(c *conn, m *Message, ids []uint32) {
	o := outgoing{topic: m.Topic, payload: m.Payload, properties: &m.Properties, created: m.Created, retain: true, ids: ids}
	if !c.encode(&o) {
		s.dropped++
		s.drops = append(s.drops, Drop{Session: s.id, Reason: DropTooLarge, Topic: m.Topic})
	}
}

// replayFits reports whether a message can go on now. Those above QoS 0 go
// into the queue only as far as the client's window reaches.
func (s *session) replayFits(c *conn, qos byte) bool {
	if qos > 0 {
		return s.queue.count < c.window
	}
	if len(c.out) >= s.srv.limits.OutboundBytes {
		c.more = true
		return false
	}
	return true
}

// holds reports whether m is still the retained message of its topic.
func (t *retainedTree) holds(m *Message) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	n := t.find(m.Topic)
	return n != nil && n.message == m
}
