package mqtt

import (
	"slices"
	"sync"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// inboundKind says what an [Inbound] in the list of a connection is. The
// list is what keeps the answers of one connection in order.
type inboundKind byte

const (
	kindPublish inboundKind = iota // answered by PUBACK, PUBREC, or nothing
	kindPubrel                     // answered by PUBCOMP
	kindPubrec                     // answered by PUBREL
	kindOwn                        // a publish of the server, or a will
)

// inboundState is the engine's side of an [Inbound].
type inboundState struct {
	srv      *Server
	conn     *conn // in whose list it is
	next     *Inbound
	kind     inboundKind
	packetID uint16
	seq      uint64 // of a PUBREL
	counted  bool   // against the receive maximum
	repeated bool   // a QoS 2 publish that was received before
	auto     bool   // no handler: the reason depends on the subscribers

	done   bool // by conn.mu
	reason packet.ReasonCode
	text   string
	err    error // of the store, for own publishes
	notify func(error)

	pkt     packet.Publish
	buf     []byte // where Payload is
	topic   *topicName
	message *Message        // made when somebody keeps the message
	targets []target        // stored sessions that get it, known before the commit
	picks   []*subscription // members of shared subscriptions that get it
}

// target is a stored session that has a place in its queue for the message.
type target struct {
	session *session
	seq     uint64
	shared  bool
}

var inbounds = sync.Pool{New: func() any { return new(Inbound) }}

func (s *Server) newInbound(c *conn, kind inboundKind) *Inbound {
	in := inbounds.Get().(*Inbound)
	in.srv, in.conn, in.kind = s, c, kind
	return in
}

// maxKeptPayload keeps one large message from living in the pool for ever.
const maxKeptPayload = 4096

func (in *Inbound) free() {
	buf, changes, targets, picks := in.buf[:0], in.Changes[:0], in.targets[:0], in.picks[:0]
	if cap(buf) > maxKeptPayload {
		buf = nil
	}
	clear(in.Changes)
	clear(in.targets)
	clear(in.picks)
	*in = Inbound{}
	in.buf, in.Changes, in.targets, in.picks = buf, changes, targets, picks
	inbounds.Put(in)
}

// size is what in counts against the bound of pending bytes.
func (in *Inbound) size() int { return len(in.Payload) + messageOverhead }

// ack is [Inbound.Ack].
func (in *Inbound) ack(reason packet.ReasonCode, text string) {
	c := in.conn
	c.mu.Lock()
	in.reason, in.text, in.done = reason, text, true
	first := c.head == in
	c.mu.Unlock()
	if first { // otherwise the one before it wakes the connection
		c.wake()
	}
}

// finish is ack for who serves the connection next in any case.
func (in *Inbound) finish(reason packet.ReasonCode, text string) {
	in.conn.mu.Lock()
	in.reason, in.text, in.done = reason, text, true
	in.conn.mu.Unlock()
}

// forward is [Inbound.Forward].
func (in *Inbound) forward() {
	in.auto = true
	if len(in.Changes) == 0 {
		in.ack(packet.Success, "")
		return
	}
	in.srv.store.Commit(in.Changes, in.committed)
}

// committed acks what waited for the session store alone.
func (in *Inbound) committed(err error) {
	if err != nil {
		in.err = err
		in.srv.storeFailed(err)
		in.ack(packet.UnspecifiedError, "the server could not store the message")
		return
	}
	in.ack(packet.Success, "")
}

// push puts in at the end of the list. It refuses when the connection was
// stopped; only a will comes after that.
func (c *conn) push(in *Inbound) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended && in.kind != kindOwn {
		return false
	}
	if c.tail == nil {
		c.head = in
	} else {
		c.tail.next = in
	}
	c.tail = in
	c.pending++
	c.pendingB += in.size()
	return true
}

// pop takes the finished ones off the front of the list, in their order.
func (c *conn) pop() *Inbound {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.head
	if first == nil || !first.done {
		return nil
	}
	last := first
	for last.next != nil && last.next.done {
		last = last.next
	}
	c.head, last.next = last.next, nil
	if c.head == nil {
		c.tail = nil
	}
	return first
}

// release routes what was acked by the handler, up to the first message that
// was not, and encodes the answers in the order in which the messages came.
// [MQTT-4.6.0-2] [MQTT-4.6.0-3] [MQTT-4.6.0-4]
func (c *conn) release() {
	for in := c.pop(); in != nil; in = c.pop() {
		for in != nil {
			next := in.next
			c.srv.complete(in)
			c.answer(in)
			if in.notify != nil {
				in.notify(in.err)
			}
			in.free()
			in = next
		}
	}
}

// giveUp refuses a message whose handler panicked, unless it was acked: the
// session's next connection waits for it.
func (c *conn) giveUp(in *Inbound) {
	c.mu.Lock()
	lost := false
	for p := c.head; p != nil && in != nil; p = p.next {
		lost = lost || p == in && !in.done
	}
	c.mu.Unlock()
	if lost {
		in.ack(packet.UnspecifiedError, "the server failed over the message")
	}
}

// recount sets right what a panic in the midst of release left.
func (c *conn) recount() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending, c.pendingB = 0, 0
	for p := c.head; p != nil; p = p.next {
		c.pending++
		c.pendingB += p.size()
	}
	if c.pending == 0 && c.drained != nil {
		close(c.drained)
		c.drained = nil
	}
}

// answer encodes the ack of in and gives its place free.
func (c *conn) answer(in *Inbound) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending--
	c.pendingB -= in.size()
	if in.counted && (in.kind == kindPubrel || in.QoS == 1 || in.repeated || in.reason.IsError()) && c.quota > 0 {
		c.quota--
	}
	if !c.overfull() {
		c.signalRoom()
	}
	if c.pending == 0 && c.drained != nil {
		close(c.drained)
		c.drained = nil
	}
	if c.closed || !c.open || c.ended && c.end.Cause != CauseShutdown {
		return
	}
	a := packet.Ack{PacketID: in.packetID, Reason: in.reason} // [MQTT-2.2.1-5] [MQTT-3.3.4-1]
	switch {
	case in.kind == kindPubrel:
		a.Type = packet.PUBCOMP
	case in.kind == kindPubrec:
		a.Type = packet.PUBREL
	case in.kind == kindOwn || in.QoS == 0:
		return
	case in.QoS == 1: // [MQTT-4.3.2-4]
		a.Type = packet.PUBACK
	default: // [MQTT-4.3.3-8]
		a.Type = packet.PUBREC
	}
	if in.reason.IsError() && retry(in.reason) && (c.version < packet.V5 || in.kind != kindPublish) {
		return // the connection is closed instead
	}
	if !a.Reason.AllowedIn(a.Type) { // the handler's own [MQTT-3.4.2-1] [MQTT-3.5.2-1]
		a.Reason = packet.UnspecifiedError
	}
	if c.problems { // [MQTT-3.1.2-29]; one that does not fit is left out [MQTT-3.5.2-2] [MQTT-3.6.2-2]
		// [MQTT-3.7.2-2], and there are no user properties [MQTT-3.5.2-3] [MQTT-3.6.2-3] [MQTT-3.7.2-3]
		a.ReasonString = in.text
	}
	c.buffered()
	c.out, _ = a.AppendWithin(c.out, c.version, c.maxPacket)
}

// retry reports whether a message that was refused with r may pass when it is
// sent again. A 3.1.1 client does so when its connection was closed.
func retry(r packet.ReasonCode) bool {
	return r == packet.UnspecifiedError || r == packet.ImplementationSpecificError
}

// keep gives the message in a form that outlives in.
func (in *Inbound) keep() *Message {
	if in.message == nil {
		in.message = &Message{
			Topic: in.Topic, Payload: slices.Clone(in.Payload), QoS: in.QoS, Retain: in.Retain,
			Properties: *in.Properties, Created: in.srv.now(),
		}
	}
	return in.message
}
