package mqtt

import (
	"runtime/debug"
	"sync"
	"time"
)

// outSize is the size of the pooled buffers for outgoing bytes. What grows
// beyond it is left to the garbage collector.
const outSize = 2048

var outBuffers = sync.Pool{New: func() any { return new([outSize]byte) }}

var rawWriters = sync.Pool{New: func() any { return newRawWriter() }}

// rounds bounds how long one connection is served at a time.
const rounds = 8

// serve releases acks, encodes messages and writes. The caller holds the
// scheduler's turn, so it never runs twice at once for one connection. It
// does not wait for the socket.
func (c *conn) serve() {
	for range rounds {
		c.release()
		c.mu.Lock()
		session := c.session
		c.mu.Unlock()
		if session != nil {
			session.pump(c)
		}
		if !c.flush() {
			return
		}
	}
	c.wake()
}

// serveSafely keeps a fault in the engine to this connection.
func (c *conn) serveSafely() {
	defer func() {
		if v := recover(); v != nil {
			c.srv.panicked(c, v, debug.Stack(), nil)
			c.abort(End{Cause: CauseInternal})
			c.recount()
		}
	}()
	c.serve()
}

// flush writes what waits. It reports whether there is more to encode now.
func (c *conn) flush() bool {
	c.mu.Lock()
	if c.writing {
		c.mu.Unlock()
		return false
	}
	if c.ended && !c.closed {
		c.sayGoodbye()
	}
	if len(c.out) == 0 || c.closed {
		if c.goodbye {
			c.closeLocked()
		}
		c.mu.Unlock()
		return false
	}
	b := c.out
	c.out, c.writing = nil, true
	c.mu.Unlock()
	n := 0
	if c.raw != nil {
		w := rawWriters.Get().(*rawWriter)
		var err error
		n, err = w.write(c, b)
		rawWriters.Put(w)
		if err != nil {
			c.wrote(b, n)
			c.abort(End{Cause: CauseLost, Text: err.Error()})
			return false
		}
	}
	if n == len(b) {
		return c.wrote(b, n)
	}
	c.mu.Lock()
	c.stalled = time.Now()
	c.mu.Unlock()
	c.srv.work.Go(func() { c.writeRest(b, n) })
	return false
}

// writeRest waits for a socket that did not take all at once. A socket that
// takes nothing for too long is closed by a janitor.
func (c *conn) writeRest(b []byte, n int) {
	for n < len(b) {
		k, err := c.net.Write(b[n:min(len(b), n+chunk)])
		n += k
		if err != nil {
			c.wrote(b, n)
			c.abort(End{Cause: CauseLost, Text: err.Error()})
			return
		}
		c.mu.Lock()
		c.stalled = time.Now()
		c.mu.Unlock()
	}
	c.wrote(b, n)
	c.wake()
}

// wrote ends the write of b, of which n bytes went out, and reports whether
// there is more to do.
func (c *conn) wrote(b []byte, n int) bool {
	c.bytesOut.Add(uint64(n))
	c.srv.count.bytesOut.Add(uint64(n))
	c.mu.Lock()
	c.writing, c.stalled = false, time.Time{}
	more := c.more || len(c.out) > 0 || c.ended
	if cap(b) == outSize {
		outBuffers.Put((*[outSize]byte)(b[:outSize]))
	}
	if !c.overfull() {
		c.signalRoom()
	}
	c.mu.Unlock()
	return more
}

// buffered makes sure that c.out has a buffer; c.mu is held.
func (c *conn) buffered() {
	if c.out == nil {
		c.out = outBuffers.Get().(*[outSize]byte)[:0]
	}
}
