package simulate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Bounds of a session.
const (
	window       = 8                // messages without an ack
	keepAlive    = 20 * time.Second // a ping is due after half of it
	answerIn     = 20 * time.Second // for CONNACK, PUBACK and PINGRESP
	writeTimeout = 10 * time.Second
	maxInbound   = 16 << 10 // bytes of a packet that a server may send us
)

// errLost ends a session whose server did not answer in time.
var errLost = errors.New("no answer from the server")

// refused is a CONNACK with a reason.
type refused struct{ reason packet.ReasonCode }

func (r refused) Error() string { return "the server refused the connection: " + r.reason.String() }

// session is one MQTT connection of a member. One goroutine owns it: it waits
// in read until something is due, so that an idle device costs one goroutine
// and a few hundred bytes.
type session struct {
	member  *member
	conn    net.Conn
	version packet.Version
	in      []byte // the beginning of a packet
	window  int
	pending []pending // in the order of sending
	lastID  uint16
	written time.Time // the last packet to the server
	pinged  time.Time // a ping that waits for its answer, or zero
	refusal error     // the first message that the server did not want
	release func() bool
}

// pending is a message without its ack.
type pending struct {
	id      uint16
	records int
	sent    time.Time
	first   time.Time // of its records
}

// open connects and logs in. The session that it gives must be closed.
func (m *member) open(ctx context.Context) (*session, error) {
	conn, err := m.fleet.options.Dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &session{member: m, conn: conn, version: m.device.kind.mqtt, window: window, in: make([]byte, 0, 128)}
	s.release = context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	if err := s.login(ctx); err != nil {
		s.cut()
		return nil, err
	}
	return s, nil
}

func (s *session) login(ctx context.Context) error {
	id := string(s.member.device.ID)
	connect := packet.Connect{
		Version: s.version, CleanStart: true, KeepAlive: uint16(keepAlive / time.Second), ClientID: id,
		HasUsername: true, Username: id, HasPassword: true, Password: []byte(s.member.token),
		ReceiveMaximum: 65535, RequestProblemInfo: true,
		Will: &packet.Will{Topic: s.topic("/" + link), Payload: []byte(`"lost"`), QoS: 1},
	}
	if err := s.write(connect.Append(nil, s.version)); err != nil {
		return err
	}
	var answer packet.Connack
	got := false
	deadline := time.Now().Add(answerIn)
	for !got {
		err := s.read(ctx, deadline, func(h packet.Header, body []byte) error {
			if h.Type != packet.CONNACK {
				return fmt.Errorf("got %s, want CONNACK", h.Type)
			}
			got = true
			return answer.Decode(s.version, body)
		})
		switch {
		case err != nil:
			return err
		case !got && time.Now().After(deadline):
			return errLost
		}
	}
	if answer.Reason != packet.Success {
		return refused{answer.Reason}
	}
	if answer.ReceiveMaximum > 0 {
		s.window = min(s.window, int(answer.ReceiveMaximum))
	}
	return nil
}

func (s *session) topic(suffix string) string {
	return "devices/" + string(s.member.device.ID) + "/telemetry" + suffix
}

// read waits for packets until the deadline or the end of ctx, and hands what
// came to handle. It returns nil after at most one read from the connection.
func (s *session) read(ctx context.Context, deadline time.Time, handle func(packet.Header, []byte) error) error {
	if err := s.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	// Whoever ends ctx also moves the deadline into the past; seen in this
	// order, one of the two always ends the wait.
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(s.in) == cap(s.in) {
		if len(s.in) >= maxInbound {
			return fmt.Errorf("the server sent a packet of more than %d bytes", maxInbound)
		}
		s.in = append(s.in, make([]byte, len(s.in))...)[:len(s.in)]
	}
	n, err := s.conn.Read(s.in[len(s.in):cap(s.in)])
	s.in = s.in[:len(s.in)+n]
	if e := s.packets(handle); e != nil {
		return e
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return ctx.Err()
}

// packets hands the whole packets in s.in to handle and keeps the rest.
func (s *session) packets(handle func(packet.Header, []byte) error) error {
	rest := s.in
	for {
		h, n, err := packet.ParseHeader(rest)
		if errors.Is(err, packet.ErrIncomplete) || err == nil && len(rest) < n+h.Length {
			break
		}
		if err != nil {
			return err
		}
		if err := handle(h, rest[n:n+h.Length]); err != nil {
			return err
		}
		rest = rest[n+h.Length:]
	}
	s.in = append(s.in[:0], rest...)
	return nil
}

func (s *session) write(b []byte) error {
	now := time.Now()
	if err := s.conn.SetWriteDeadline(now.Add(writeTimeout)); err != nil {
		return err
	}
	s.written = now
	_, err := s.conn.Write(b)
	return err
}

// handle takes a packet of a server that accepted us.
func (s *session) handle(h packet.Header, body []byte) error {
	switch h.Type {
	case packet.PUBACK:
		return s.acked(body)
	case packet.PINGRESP:
		s.pinged = time.Time{}
		return nil
	case packet.DISCONNECT:
		var d packet.Disconnect
		if err := d.Decode(s.version, body); err != nil {
			return err
		}
		return fmt.Errorf("the server ended the connection: %s", d.Reason)
	default:
		return fmt.Errorf("got %s, which a device that subscribed to nothing does not expect", h.Type)
	}
}

func (s *session) acked(body []byte) error {
	var ack packet.Ack
	if err := ack.Decode(s.version, packet.PUBACK, body); err != nil {
		return err
	}
	for i, p := range s.pending {
		if p.id != ack.PacketID {
			continue
		}
		s.pending = append(s.pending[:i], s.pending[i+1:]...)
		s.member.fleet.stats.acknowledged(p, ack.Reason)
		if ack.Reason.IsError() {
			s.refused(ack)
		}
		return nil
	}
	return fmt.Errorf("got PUBACK for packet identifier %d, which is not waiting", ack.PacketID)
}

// refused notes a message that the server does not want, and logs the first
// one of a device. It is not sent again: it would be refused again.
func (s *session) refused(a packet.Ack) {
	m := s.member
	if s.refusal == nil {
		s.refusal = fmt.Errorf("the server refused readings: %s %s", a.Reason, a.ReasonString)
	}
	if !m.grumbled {
		m.grumbled = true
		m.fleet.options.Log.Warn("the server refuses readings", "device", m.device.ID, "reason", a.Reason.String(), "detail", a.ReasonString)
	}
}

// publish sends a QoS 1 message below the device's telemetry topic.
func (s *session) publish(suffix string, payload []byte, first time.Time, records int) error {
	s.lastID++
	if s.lastID == 0 {
		s.lastID = 1
	}
	p := packet.Publish{QoS: 1, Topic: []byte(s.topic(suffix)), PacketID: s.lastID, Payload: payload}
	buffer := s.member.fleet.buffers.Get().(*[]byte)
	defer s.member.fleet.buffers.Put(buffer)
	*buffer = p.Append((*buffer)[:0], s.version)
	s.pending = append(s.pending, pending{id: s.lastID, records: records, sent: time.Now(), first: first})
	s.member.fleet.stats.sent.Add(1)
	return s.write(*buffer)
}

// tend sends a ping when one is due and gives the time of its next duty. An
// answer that is overdue is [errLost].
func (s *session) tend(now time.Time) (next time.Time, err error) {
	waiting := s.pinged
	if len(s.pending) > 0 && (waiting.IsZero() || s.pending[0].sent.Before(waiting)) {
		waiting = s.pending[0].sent
	}
	if !waiting.IsZero() && now.Sub(waiting) >= answerIn {
		return now, errLost
	}
	if s.pinged.IsZero() && now.Sub(s.written) >= keepAlive/2 {
		if err := s.write(packet.AppendPingreq(nil)); err != nil {
			return now, err
		}
		s.pinged = now
		waiting = now
	}
	next = s.written.Add(keepAlive / 2)
	if !waiting.IsZero() {
		next = earlier(next, waiting.Add(answerIn))
	}
	if !next.After(now) { // a ping is out, and nothing is written until its answer
		next = now.Add(answerIn)
	}
	return next, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// drain waits until every message has its ack, for as long as ctx allows.
func (s *session) drain(ctx context.Context) error {
	deadline := time.Now().Add(answerIn)
	if d, ok := ctx.Deadline(); ok {
		deadline = earlier(deadline, d)
	}
	for len(s.pending) > 0 {
		if time.Now().After(deadline) {
			return errLost
		}
		if err := s.read(ctx, deadline, s.handle); err != nil {
			return err
		}
	}
	return nil
}

// goodbye ends the session as a device that is switched off does: no will.
func (s *session) goodbye() error {
	d := packet.Disconnect{}
	return errors.Join(s.write(d.Append(nil, s.version)), s.cut())
}

// cut ends the session as a device that loses its network does.
func (s *session) cut() error {
	s.release()
	return s.conn.Close()
}
