package mqtt

import "github.com/trefoil-iot/trefoil/mqtt/packet"

// retainedRequest is a subscription that may get retained messages.
type retainedRequest struct {
	SubscriptionRecord
	isNew bool
}

// replay is a retained message on its way to a new subscription. There may be
// very many, so they wait here, outside of all queues, and go on as the
// client takes them. A connection that ends before loses the rest: the client
// gets them when it subscribes again.
type replay struct {
	message *Message
	qos     byte
	ids     []uint32
}

// sendRetained lets the retained messages follow that new subscriptions ask
// for. [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
func (s *session) sendRetained(requests []retainedRequest) {
	var found []replay
	for i := range requests {
		r := &requests[i]
		_, filter, shared := packet.ParseShared(r.Filter)
		if shared || r.RetainHandling == 2 || r.RetainHandling == 1 && !r.isNew {
			continue
		}
		var ids []uint32
		if r.ID != 0 {
			ids = []uint32{r.ID}
		}
		for _, m := range s.srv.retained.match(filter) {
			found = append(found, replay{message: m, qos: min(m.QoS, r.QoS), ids: ids})
		}
	}
	if len(found) == 0 {
		return
	}
	s.mu.Lock()
	s.replay = append(s.replay, found...)
	s.mu.Unlock()
}

// replayRetained sends waiting retained messages while there is room. It
// gives the changes that put those of a stored session into its queue; s.mu
// and c.mu are held.
func (s *session) replayRetained(c *conn) (reserved []Change) {
	now := s.srv.now()
	done := 0
	for i := range s.replay {
		r := &s.replay[i]
		if !s.replayFits(c, r) {
			break
		}
		done++
		// A newer message of the topic is delivered as every other; after it,
		// this one would be wrong.
		if r.message.expired(now) || !s.srv.retained.holds(r.message) {
			continue
		}
		d := delivery{session: s, qos: r.qos, retain: true, ids: r.ids} // [MQTT-3.3.1-8]
		switch {
		case r.qos == 0:
			m := r.message
			o := outgoing{topic: m.Topic, payload: m.Payload, properties: &m.Properties, created: m.Created, retain: true, ids: r.ids}
			c.encode(&o)
		case s.stored:
			reserved = append(reserved, s.enqueueChange(r.message, d))
		default:
			s.enqueue(r.message, d, entryReady)
			s.queue.held++
		}
	}
	clear(s.replay[:done])
	if s.replay = s.replay[done:]; len(s.replay) == 0 {
		s.replay = nil
	}
	return reserved
}

// replayFits reports whether r can go on now. Messages above QoS 0 go into the
// queue only as far as the client's window reaches.
func (s *session) replayFits(c *conn, r *replay) bool {
	if r.qos > 0 {
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
