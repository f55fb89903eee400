package mqtt

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// session is the state of one client that outlives its connection, section
// 4.1, and lives at least as long as that [MQTT-4.1.0-1]. Packet identifiers of the two directions have nothing to do with each
// other: received holds the client's, queue ours.
type session struct {
	id     SessionID
	srv    *Server
	user   User
	stored bool // its state is in the store; never changes
	online atomic.Bool

	mu       sync.Mutex
	conn     *conn // nil while it is offline
	gone     bool
	date     date // by dates.mu
	created  time.Time
	expiry   time.Duration
	ends     time.Time // zero while it is connected or for ever
	will     *Message
	delay    time.Duration // of the will
	willAt   time.Time     // zero: not due
	subs     map[string]*subscription
	received map[uint16]struct{} // QoS 2 identifiers that wait for PUBREL
	draining *conn               // the last connection, if messages of it are at the handler

	queue    queue
	nextSeq  uint64
	nextSend uint64 // everything before it was sent on this connection
	inflight int    // sent on this connection and not acknowledged
	loading  bool
	marking  bool              // the store is being told what will be sent next
	asked    []retainedRequest // subscriptions whose retained messages were not looked up
	replay   replay            // retained messages that wait for room
	dropped  uint64            // of the queue
	drops    []Drop            // of them, to be reported when s.mu is free
	recorded bool              // the store has a record of it: it is stored, or has a will
}

// receive notes a QoS 2 identifier. It reports whether it is new. [MQTT-4.3.3-10]
func (s *session) receive(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.received[id]; known {
		return false
	}
	if s.received == nil {
		s.received = map[uint16]struct{}{}
	}
	s.received[id] = struct{}{}
	return true
}

func (s *session) knows(id uint16) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.received[id]
	return known
}

func (s *session) forget(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.received, id)
	if len(s.received) == 0 {
		s.received = nil
	}
}

// reserve makes a place for m at the end of the queue of a stored session. It
// holds back what comes after it until settle.
func (s *session) reserve(m *Message, d delivery) (Change, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return Change{}, false
	}
	return s.enqueueChange(m, d), true
}

// enqueueChange adds m as pending and gives the change that stores it; s.mu
// is held.
func (s *session) enqueueChange(m *Message, d delivery) Change {
	e := s.enqueue(m, d, entryPending)
	e.marked = s.conn != nil && s.inflight+s.waiting() <= s.conn.window
	return Change{
		Kind: Enqueue, Session: s.id, Seq: e.seq, Size: int(e.size),
		Queued: &Queued{Seq: e.seq, QoS: e.qos, Retain: e.retain, SubscriptionIDs: e.ids, Sent: e.marked, Message: m},
	}
}

// waiting is the number of entries that were not sent on this connection.
func (s *session) waiting() int { return len(s.queue.all) - s.queue.from(s.nextSend) }

// enqueue adds m; s.mu is held.
func (s *session) enqueue(m *Message, d delivery, state entryState) *entry {
	s.nextSeq++
	return s.queue.add(entry{
		seq: s.nextSeq - 1, msg: m, ids: d.ids, size: int32(min(m.size(), 1<<30)),
		qos: d.qos, retain: d.retain, state: state,
	})
}

// settle ends the wait of a reserved place: the message is durable, or it was
// refused. A message that is in the store stays in memory only while the
// session is connected and not far behind.
func (s *session) settle(seq uint64, durable bool) {
	s.mu.Lock()
	e := s.queue.find(seq)
	var overflow []Change
	switch {
	case e == nil:
	case !durable:
		s.queue.remove(e)
		s.queue.trim()
	default:
		e.state = entryReady
		if s.conn == nil || s.queue.held >= s.srv.limits.MemoryQueue {
			e.msg = nil
		} else {
			s.queue.held++
		}
		overflow = s.overflow()
	}
	c := s.conn
	drops := s.takeDrops()
	s.mu.Unlock()
	s.reportDrops(drops)
	s.srv.commit(overflow)
	if c != nil {
		c.wake()
	}
}

// overflow drops the oldest messages of a stored session that has too many.
func (s *session) overflow() []Change {
	var changes []Change
	l := &s.srv.limits
	for over(s.queue.count, l.QueueMessages) || over(s.queue.bytes, l.QueueBytes) {
		e := s.queue.oldestReady()
		if e == nil || s.queue.count == 1 {
			break
		}
		changes = append(changes, Change{Kind: Dequeue, Session: s.id, Seq: e.seq})
		s.dropEntry(e, DropQueueFull)
	}
	s.queue.trim()
	return changes
}

func over[T int | int64](n, limit T) bool { return limit >= 0 && n > limit }

func (s *session) dropEntry(e *entry, why DropReason) {
	d := Drop{Session: s.id, Reason: why, QoS: e.qos}
	if e.msg != nil {
		d.Topic = e.msg.Topic
	}
	s.queue.remove(e)
	s.dropped++
	s.drops = append(s.drops, d)
}

// takeDrops gives what is to be reported; s.mu is held.
func (s *session) takeDrops() []Drop {
	drops := s.drops
	s.drops = nil
	return drops
}

// reportDrops tells the observer, which may ask the server about the session:
// no lock is held. A full queue is worth a line for the operator too.
func (s *session) reportDrops(drops []Drop) {
	full := 0
	for _, d := range drops {
		s.srv.drop(d)
		if d.Reason == DropQueueFull {
			full++
		}
	}
	if full > 0 && s.srv.speaks.allow(time.Now()) {
		s.srv.log.Warn("mqtt: the queue of a session is full, its oldest messages are dropped", "session", s.id.String(), "dropped", full)
	}
}

// take gives a message to a session at the moment of its routing. QoS 0 goes
// to the connection or nowhere; QoS 1 and 2 into the queue.
func (s *session) take(in *Inbound, d delivery) {
	if d.qos == 0 {
		s.takeQoS0(in, d)
		return
	}
	if s.stored { // it subscribed after the message came in
		s.srv.enqueueLater(s, in.keep(), d)
		return
	}
	s.mu.Lock()
	c := s.conn
	if s.gone || c == nil {
		s.mu.Unlock()
		return
	}
	l := &s.srv.limits
	full := over(s.queue.count+1, l.TransientMessages) || over(s.queue.bytes+int64(len(in.Payload)), l.TransientBytes)
	if !full {
		s.enqueue(in.keep(), d, entryReady)
		s.queue.held++
	}
	s.mu.Unlock()
	if full { // nothing that was acknowledged to its publisher is dropped silently
		s.srv.drop(Drop{Session: s.id, Reason: DropQueueFull, Topic: in.Topic, QoS: d.qos})
		c.stop(End{Cause: CauseSlow, Reason: packet.QuotaExceeded, Text: "the client takes messages too slowly"})
		return
	}
	c.wake()
}

// takeQoS0 encodes straight into the buffer of the connection. When that is
// full the message is dropped and counted. [MQTT-4.3.1-1]
func (s *session) takeQoS0(in *Inbound, d delivery) {
	s.mu.Lock()
	c := s.conn
	if c == nil {
		s.mu.Unlock()
		return
	}
	c.mu.Lock()
	s.mu.Unlock()
	why, ok := DropSlow, false
	if !c.open { // it is not connected yet
		ok = true
	} else if !c.ended && (len(c.out) == 0 || len(c.out)+len(in.Payload) < s.srv.limits.OutboundBytes) {
		var created time.Time
		if in.Properties.MessageExpiry != nil {
			created = in.keep().Created
		}
		o := outgoing{topic: in.Topic, payload: in.Payload, properties: in.Properties, created: created, retain: d.retain, ids: d.ids}
		if ok = c.encode(&o); !ok {
			why = DropTooLarge
		}
	}
	if !ok {
		c.dropped.Add(1)
	}
	c.mu.Unlock()
	if !ok {
		s.srv.drop(Drop{Session: s.id, Reason: why, Topic: in.Topic})
		return
	}
	c.wake()
}
