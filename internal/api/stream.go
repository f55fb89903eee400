package api

import (
	"errors"
	"net/http"
	"time"
)

// stream is an answer that is written as it is computed. The beginning of it
// is held back, so that what fails early is answered with a problem.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     []byte
	begun   bool  // something was sent
	err     error // of the connection
}

const (
	streamBuffer = 64 << 10
	// streamStall is how long a client may take nothing. A query that waits
	// for its client keeps the store from tidying up.
	streamStall = 30 * time.Second
)

func newStream(w http.ResponseWriter) *stream {
	return &stream{w: w, control: http.NewResponseController(w)}
}

func (s *stream) Write(b []byte) (int, error) {
	s.buf = append(s.buf, b...)
	if len(s.buf) < streamBuffer {
		return len(b), nil
	}
	return len(b), s.flush()
}

func (s *stream) flush() error {
	if s.err != nil {
		return s.err
	}
	s.begun = true
	// A deadline of a socket is a time of the machine's clock. Not every
	// writer can set one; the client's connection has its own end then.
	_ = s.control.SetWriteDeadline(time.Now().Add(streamStall))
	_, s.err = s.w.Write(s.buf)
	s.buf = s.buf[:0]
	return s.err
}

// end sends the rest of an answer that is complete. One that failed is
// answered with its error while nothing was sent, and is cut off otherwise, so
// that nobody takes a part for the whole.
func (s *stream) end(err error) error {
	if err == nil {
		err = s.flush()
	}
	_ = s.control.SetWriteDeadline(time.Time{})
	switch {
	case err == nil:
		return nil
	case s.begun:
		panic(http.ErrAbortHandler)
	case errors.Is(err, s.err):
		return nil // the client is gone
	}
	for _, name := range []string{"Content-Disposition", "ETag", "Vary"} {
		s.w.Header().Del(name)
	}
	s.w.Header().Set("Cache-Control", "no-store")
	return err
}
