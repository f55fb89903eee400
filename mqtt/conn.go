package mqtt

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// conn is one network connection. Its reader goroutine decodes packets; who
// serves it (see schedule.go) writes. Locks are taken in the order session.mu,
// conn.mu, and none of another connection while one is held.
type conn struct {
	srv     *Server
	net     net.Conn
	raw     syscall.RawConn // nil when the socket cannot be waited for without a buffer
	address string          // for the bound per address
	state   schedState

	// Set before CONNECT is answered, and fixed from then on.
	version   packet.Version
	client    *Client
	session   *session
	window    int    // QoS 1 and 2 messages to the client at once
	maxPacket uint32 // that the client takes; 0: any
	aliasMax  uint16 // that the client takes
	problems  bool   // the client wants reason strings and user properties

	overload packet.ReasonCode // why it is refused in any case
	accepted time.Time
	silence  time.Duration // after which the keep alive is broken; 0: never
	lastRead atomic.Int64  // Unix nanoseconds
	busy     atomic.Bool   // the reader is not waiting for the socket

	in reading

	mu        sync.Mutex
	out       []byte // encoded and not yet given to the socket
	writing   bool   // a goroutine of its own writes
	more      bool   // the session has more, as soon as out is empty
	stalled   time.Time
	head      *Inbound // what was received and is not acknowledged, in order of arrival
	tail      *Inbound
	pending   int
	pendingB  int
	quota     int           // QoS 1 and 2 of them, and QoS 2 that wait for PUBREL
	room      chan struct{} // the reader waits for fewer pending; nil: it does not
	drained   chan struct{} // the session's next connection waits for none pending
	aliases   map[string]uint16
	open      bool // CONNACK is on its way
	ended     bool
	goodbye   bool // the last packet is on its way
	end       End
	endedAt   time.Time
	closed    bool          // the socket is
	gone      chan struct{} // closes with it; nil: nobody waits
	lastError string

	finished bool // by the lock of the session's identity, see life.go

	messagesIn, messagesOut, bytesIn, bytesOut, dropped atomic.Uint64
}

func (s *Server) newConn(nc net.Conn) *conn {
	c := &conn{srv: s, net: nc, accepted: time.Now(), address: addressOf(nc)}
	if t, ok := nc.(*net.TCPConn); ok {
		// An error means a closed connection: the first read finds it too.
		c.raw, _ = t.SyscallConn()
	}
	c.lastRead.Store(c.accepted.UnixNano())
	return c
}

// addressOf gives the host part of the remote address, or "" when there is
// none, as for a pipe.
func addressOf(nc net.Conn) string {
	host, _, err := net.SplitHostPort(nc.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return host
}

// tlsState is nil without TLS.
func (c *conn) tlsState() *tls.ConnectionState {
	if t, ok := c.net.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := t.ConnectionState()
		return &state
	}
	return nil
}

// stop ends the connection for the reason of e: nothing more is read, what
// waits to be written is written, a 5.0 client gets a DISCONNECT, and the
// socket is closed. The first call counts.
func (c *conn) stop(e End) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return
	}
	c.ended, c.end, c.endedAt = true, e, time.Now()
	c.signalRoom()
	c.mu.Unlock()
	c.unblockReader()
	c.wake()
}

// sayGoodbye appends the DISCONNECT of a connection that was stopped, if it
// gets one, as the last packet; c.mu is held. [MQTT-3.14.4-1] [MQTT-3.14.4-2]
// [MQTT-3.14.2-2] [MQTT-4.13.2-1] When the server stops, what was received is
// acknowledged first.
func (c *conn) sayGoodbye() {
	if c.goodbye || c.end.Cause == CauseShutdown && c.head != nil {
		return
	}
	c.goodbye = true
	if !c.open || !c.sendsDisconnect() {
		return
	}
	d := packet.Disconnect{Reason: c.end.Reason}
	if c.problems { // [MQTT-3.1.2-29] lets DISCONNECT have it anyhow
		d.ReasonString = c.end.Text
	}
	c.buffered()
	c.out, _ = d.AppendWithin(c.out, c.version, c.maxPacket)
}

// sendsDisconnect: 3.1.1 has no DISCONNECT from the server, and before
// CONNACK, and after the client's own DISCONNECT, there is none in 5.0.
// [MQTT-3.14.0-1]
func (c *conn) sendsDisconnect() bool {
	switch c.end.Cause {
	case CauseDisconnect, CauseWithWill, CauseLost:
		return false
	default:
		return c.version >= packet.V5 && c.end.Reason.AllowedIn(packet.DISCONNECT)
	}
}

// unblockReader ends a wait for the socket. Connections other than TCP may not
// survive a deadline long enough to write the rest: their readers end when
// the socket is closed.
func (c *conn) unblockReader() {
	if c.raw != nil {
		_ = c.net.SetReadDeadline(time.Unix(1, 0)) // fails only when it is closed
	}
}

// abort closes the socket at once.
func (c *conn) abort(e End) {
	c.mu.Lock()
	if !c.ended {
		c.ended, c.end, c.endedAt = true, e, time.Now()
	}
	c.signalRoom()
	c.closeLocked()
	c.mu.Unlock()
	c.wake()
}

func (c *conn) closeLocked() {
	if !c.closed {
		c.closed = true
		c.out = nil
		_ = c.net.Close() // nobody is left to whom an error would matter
		if c.gone != nil {
			close(c.gone)
		}
	}
}

func (c *conn) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

func (c *conn) fail(text string) {
	c.mu.Lock()
	c.lastError = text
	c.mu.Unlock()
}

// signalRoom lets a waiting reader look again.
func (c *conn) signalRoom() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}
