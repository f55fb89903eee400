package mqtt

import (
	"errors"
	"io"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// chunk is the size of the buffers that sockets are read into. They are taken
// when there is something to read and given back when it was handled.
const chunk = 16 << 10

// smallRead is the buffer of a connection that must hold one while it waits.
const smallRead = 512

type buffer [chunk]byte

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// reading is the reader's side of a connection; only the reader touches it.
type reading struct {
	rest    []byte // the beginning of a packet that is not complete
	buf     *buffer
	n       int
	err     error
	attempt func(fd uintptr) bool
	small   []byte
	full    bool // the last read filled its buffer

	handing *Inbound   // what the handler is being given
	topic   *topicName // of the last publish
	aliases []*topicName
	settled []Change // messages that the client acknowledged, for one commit
	rate    *bucket
	volume  *bucket
}

// topicName is a topic that a connection publishes to.
type topicName struct {
	name string
	none versionMark // that nobody subscribed to it, as of this version
}

// next gives the bytes that can be handled: what was left over and what came
// in, once something came in. They are valid until done.
func (c *conn) next() ([]byte, error) {
	r := &c.in
	var n int
	var err error
	if c.raw != nil {
		n, err = c.readRaw()
	} else {
		n, err = c.readPlain()
	}
	if n == 0 {
		if err == nil {
			err = io.EOF
		}
		return nil, err
	}
	c.lastRead.Store(time.Now().UnixNano())
	c.bytesIn.Add(uint64(n))
	c.srv.count.bytesIn.Add(uint64(n))
	if len(r.rest) > chunk/2 {
		r.rest = append(r.rest, r.buf[:n]...)
		return r.rest, nil
	}
	return r.buf[:len(r.rest)+n], nil
}

// room is the free part of the buffer. A short rest stands before it, so that
// the packet is in one piece; a long one is appended to, and so grows with
// what has arrived and not with what was announced.
func (r *reading) room() []byte {
	if len(r.rest) > chunk/2 {
		return r.buf[:]
	}
	return r.buf[copy(r.buf[:], r.rest):]
}

// readPlain reads from a connection that cannot be waited for without a
// buffer. It waits with a small one, unless much is coming.
func (c *conn) readPlain() (int, error) {
	r := &c.in
	if r.full {
		r.buf = buffers.Get().(*buffer)
		n, err := c.net.Read(r.room())
		r.full = n >= smallRead
		return n, err
	}
	if r.small == nil {
		r.small = make([]byte, smallRead)
	}
	n, err := c.net.Read(r.small)
	if n > 0 {
		r.buf = buffers.Get().(*buffer)
		copy(r.room(), r.small[:n])
	}
	r.full = n == smallRead
	return n, err
}

// done keeps rest, which is a part of what next gave, and gives the buffer
// back.
func (c *conn) done(rest []byte) {
	r := &c.in
	switch {
	case len(rest) == 0:
		r.rest = nil
	case len(r.rest) > chunk/2 && cap(rest) <= cap(r.rest):
		r.rest = rest // a part of r.rest already
	default:
		r.rest = append(make([]byte, 0, len(rest)), rest...)
	}
	if r.buf != nil {
		buffers.Put(r.buf)
		r.buf = nil
	}
}

// read is the reader, to the end of the connection.
func (c *conn) read() {
	for {
		if err := c.readOnce(); err != nil {
			c.readFailed(err)
			return
		}
	}
}

// readOnce waits for bytes and handles what is complete.
func (c *conn) readOnce() error {
	c.busy.Store(false)
	b, err := c.next()
	c.busy.Store(true)
	if err != nil {
		return err
	}
	err = c.handleAll(b)
	c.lastRead.Store(time.Now().UnixNano()) // waiting for a handler is not silence
	return err
}

// handleAll handles every complete packet in b and serves the connection
// once, so that the acks of all of them leave together.
func (c *conn) handleAll(b []byte) error {
	for {
		h, n, err := packet.ParseHeader(b)
		if errors.Is(err, packet.ErrIncomplete) {
			break
		}
		if err == nil {
			err = c.admit(h, n)
		}
		if err != nil {
			return err
		}
		if len(b) < n+h.Length {
			break
		}
		if err := c.handle(h, b[n:n+h.Length]); err != nil {
			return err
		}
		b = b[n+h.Length:]
	}
	c.done(b)
	c.srv.commit(c.in.settled)
	c.in.settled = nil
	c.serveNow()
	return c.waitToRead()
}

// admit refuses a packet by its header, before its body has arrived.
func (c *conn) admit(h packet.Header, n int) error {
	limits := &c.srv.limits
	if c.session == nil {
		switch {
		case h.Type != packet.CONNECT: // [MQTT-3.1.0-1]
			return &packet.Error{Reason: packet.ProtocolError, What: "the first packet is not a CONNECT"}
		case n+h.Length > limits.ConnectSize:
			return &packet.Error{Reason: packet.PacketTooLarge, What: "CONNECT is larger than the server allows"}
		}
		return nil
	}
	if n+h.Length > limits.PacketSize {
		return &packet.Error{Reason: packet.PacketTooLarge, What: "packet is larger than the server announced"}
	}
	return h.Check(c.version)
}

// errStop ends a reader whose connection was stopped already.
var errStop = errors.New("mqtt: connection was stopped")

// readFailed ends the connection for err, a transient fault of the transport
// included [MQTT-4.8.0-2 of 3.1.1].
func (c *conn) readFailed(err error) {
	if c.in.buf != nil {
		buffers.Put(c.in.buf)
		c.in.buf = nil
	}
	c.in.rest = nil
	c.srv.commit(c.in.settled)
	c.in.settled = nil
	c.serveNow() // what came before the end is answered
	var fault *packet.Error
	switch {
	case errors.Is(err, errStop):
	case errors.As(err, &fault):
		c.srv.protocolFault(c, fault)
		c.stop(End{Cause: CauseProtocol, Reason: fault.Reason, Text: fault.What})
	default:
		c.stop(End{Cause: CauseLost, Text: err.Error()})
	}
}

// waitToRead holds the reader while too much is at the handler, or while the
// client does not take the answers that it asked for.
func (c *conn) waitToRead() error {
	for {
		c.mu.Lock()
		if c.ended {
			c.mu.Unlock()
			return errStop
		}
		if !c.overfull() {
			c.mu.Unlock()
			return nil
		}
		if c.room == nil {
			c.room = make(chan struct{})
		}
		room := c.room
		c.mu.Unlock()
		<-room
	}
}

func (c *conn) overfull() bool {
	l := &c.srv.limits
	return c.pending >= l.PendingPublishes || c.pendingB >= l.PendingBytes || len(c.out) > 2*l.OutboundBytes
}
