package mqtt

import (
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// versionMark is a version of the subscriptions, plus one; 0: never looked.
type versionMark struct{ atomic.Uint64 }

func validUTF8(b []byte) bool { return utf8.Valid(b) }

// delivery is one copy of a message for one session.
type delivery struct {
	session *session
	qos     byte
	retain  bool
	ids     []uint32
}

// router is scratch space for routing one message.
type router struct {
	found      matches
	deliveries []delivery
	index      map[*session]int
}

var routers = sync.Pool{New: func() any { return &router{index: map[*session]int{}} }}

func (r *router) free() {
	r.found.reset()
	clear(r.deliveries)
	r.deliveries = r.deliveries[:0]
	clear(r.index)
	routers.Put(r)
}

// collect finds the sessions that get a message, each once: with the highest
// QoS of its matching subscriptions and all their identifiers. [MQTT-3.3.4-2]
// [MQTT-3.3.4-3] [MQTT-3.3.4-4]
func (r *router) collect(s *Server, in *Inbound, choose bool) {
	r.found.reset()
	r.deliveries = r.deliveries[:0]
	s.subs.match(in.Topic, choose, &r.found)
	merge := r.found.nodes > 1
	for _, sub := range r.found.subs {
		if sub.NoLocal && in.Client != nil && sub.session.id == in.Client.Session { // [MQTT-3.8.3-3]
			continue
		}
		d := sub.delivery(in)
		if merge {
			if i, ok := r.index[d.session]; ok {
				r.deliveries[i].join(d)
				continue
			}
			r.index[d.session] = len(r.deliveries)
		}
		r.deliveries = append(r.deliveries, d)
	}
	clear(r.index)
}

func (sub *subscription) delivery(in *Inbound) delivery {
	return delivery{
		session: sub.session,
		qos:     min(sub.QoS, in.QoS),               // [MQTT-3.8.4-8]
		retain:  in.Retain && sub.RetainAsPublished, // [MQTT-3.3.1-12] [MQTT-3.3.1-13]
		ids:     sub.ids,
	}
}

// join merges another subscription of the same session.
func (d *delivery) join(other delivery) {
	d.qos = max(d.qos, other.qos)
	d.retain = d.retain || other.retain
	if len(other.ids) > 0 {
		ids := make([]uint32, 0, len(d.ids)+len(other.ids))
		d.ids = append(append(ids, d.ids...), other.ids...)
	}
}

// prepare finds out, before the handler sees a message, what must become
// durable with it: its place in the queues of stored sessions, its packet
// identifier, its place among the retained ones. [MQTT-4.5.0-1]
func (s *Server) prepare(in *Inbound) {
	if in.QoS == 2 && in.kind == kindPublish && in.conn.session.stored {
		in.Changes = append(in.Changes, Change{Kind: AddReceived, Session: in.conn.session.id, PacketID: in.packetID})
	}
	switch {
	case in.Retain && len(in.Payload) == 0:
		in.Changes = append(in.Changes, Change{Kind: Unretain, Topic: in.Topic})
	case in.Retain:
		in.Changes = append(in.Changes, Change{Kind: Retain, Message: in.keep(), Topic: in.Topic})
	}
	if s.subs.durable.Load() == 0 || in.nobody(s) {
		return
	}
	r := routers.Get().(*router)
	defer r.free()
	r.collect(s, in, true)
	for _, d := range r.deliveries {
		if d.qos > 0 && d.session.stored {
			s.reserve(in, d, false)
		}
	}
	for _, sub := range r.found.shared {
		if d := sub.delivery(in); d.qos > 0 && d.session.stored {
			s.reserve(in, d, true)
		} else {
			in.picks = append(in.picks, sub)
		}
	}
}

// reserve gives the message a place in the queue of a stored session.
func (s *Server) reserve(in *Inbound, d delivery, shared bool) {
	change, ok := d.session.reserve(in.keep(), d)
	if ok {
		in.targets = append(in.targets, target{session: d.session, seq: change.Queued.Seq, shared: shared})
		in.Changes = append(in.Changes, change)
	}
}

// nobody reports whether it is known that the topic has no subscriber.
func (in *Inbound) nobody(s *Server) bool {
	return in.topic != nil && in.topic.none.Load() == s.subs.version.Load()+1
}

// complete ends a message: it is refused, or it is durable now and goes to
// its subscribers.
func (s *Server) complete(in *Inbound) {
	switch {
	case in.kind == kindPubrel:
		s.completePubrel(in)
		return
	case in.kind == kindPubrec:
		s.completePubrec(in)
		return
	case in.repeated:
		return
	case in.reason.IsError():
		s.refuse(in)
		return
	}
	if in.Retain { // nothing else changes what is retained [MQTT-3.3.1-8]
		s.retained.set(in.keep())
	}
	n := s.route(in)
	if in.auto && n == 0 {
		in.reason = packet.NoMatchingSubscribers
	}
}

// refuse undoes what prepare did.
func (s *Server) refuse(in *Inbound) {
	for _, t := range in.targets {
		t.session.settle(t.seq, false)
	}
	s.count.refusals.Add(1)
	c := in.conn
	if in.kind != kindPublish {
		return
	}
	c.fail(in.reason.String() + ": " + in.text)
	again := retry(in.reason)
	if c.version < packet.V5 && again && in.QoS > 0 {
		c.stop(End{Cause: CauseInternal, Reason: in.reason, Text: in.text})
	}
	// A 3.1.1 client that was refused for good knows nothing of it and goes on
	// with PUBREL, so its identifier stays in use.
	if in.QoS == 2 && (c.version >= packet.V5 || again) { // [MQTT-4.3.3-9]
		c.session.forget(in.packetID)
	}
}

// route sends a durable message to its subscribers and gives their number.
func (s *Server) route(in *Inbound) int {
	for _, t := range in.targets {
		t.session.settle(t.seq, true)
	}
	n := len(in.targets)
	for _, sub := range in.picks {
		sub.session.take(in, sub.delivery(in))
		n++
	}
	if in.nobody(s) {
		return n
	}
	version := s.subs.version.Load()
	r := routers.Get().(*router)
	defer r.free()
	r.collect(s, in, false)
	if len(r.found.subs) == 0 && len(in.targets)+len(in.picks) == 0 && s.subs.shared.Load() == 0 && in.topic != nil {
		in.topic.none.Store(version + 1)
	}
	for _, d := range r.deliveries {
		if in.isTarget(d.session) {
			continue
		}
		d.session.take(in, d)
		n++
	}
	return n
}

func (in *Inbound) isTarget(s *session) bool {
	for i := range in.targets {
		if t := &in.targets[i]; t.session == s && !t.shared {
			return true
		}
	}
	return false
}
