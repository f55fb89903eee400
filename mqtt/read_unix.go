//go:build unix

package mqtt

import (
	"io"
	"syscall"
)

// readRaw waits until the socket has something to read and takes a buffer only
// then.
func (c *conn) readRaw() (int, error) {
	r := &c.in
	if r.attempt == nil {
		r.attempt = r.tryRead
	}
	if err := c.raw.Read(r.attempt); err != nil {
		return 0, err
	}
	return r.n, r.err
}

func (r *reading) tryRead(fd uintptr) bool {
	r.buf = buffers.Get().(*buffer)
	for {
		n, err := syscall.Read(int(fd), r.room())
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			buffers.Put(r.buf)
			r.buf = nil
			return false
		case err != nil:
			r.n, r.err = 0, err
		case n == 0:
			r.n, r.err = 0, io.EOF
		default:
			r.n, r.err = n, nil
		}
		return true
	}
}

// rawWriter writes to sockets without waiting. Its closure is made once.
type rawWriter struct {
	b       []byte
	n       int
	err     error
	attempt func(fd uintptr) bool
}

func newRawWriter() *rawWriter {
	w := &rawWriter{}
	w.attempt = w.tryWrite
	return w
}

// write gives the number of bytes that the socket took at once.
func (w *rawWriter) write(c *conn, b []byte) (int, error) {
	w.b, w.n, w.err = b, 0, nil
	err := c.raw.Write(w.attempt)
	w.b = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}

func (w *rawWriter) tryWrite(fd uintptr) bool {
	for w.n < len(w.b) {
		n, err := syscall.Write(int(fd), w.b[w.n:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return true
		case err != nil:
			w.err = err
			return true
		}
		w.n += n
	}
	return true
}
