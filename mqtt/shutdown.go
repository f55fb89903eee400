package mqtt

import (
	"context"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Disconnect ends the connections for which match is true: 5.0 clients get
// DISCONNECT with the reason and text. Their wills are published. It returns
// how many there were, and does not wait for their sockets: nothing that they
// send after its return is accepted.
func (s *Server) Disconnect(match func(*Client) bool, reason packet.ReasonCode, text string) int {
	n := 0
	for _, c := range s.connections() {
		c.mu.Lock()
		live := c.session != nil && !c.ended
		c.mu.Unlock()
		if live && match(c.client) {
			c.stop(End{Cause: CauseKicked, Reason: reason, Text: text})
			n++
		}
	}
	return n
}

// Forget ends the sessions for which match is true, with their queues and
// subscriptions, as after the removal of a user. Their connections end as with
// [Server.Disconnect]. done, which may be nil, is called when the store has
// forgotten them too, or with its error.
func (s *Server) Forget(match func(SessionID) bool, reason packet.ReasonCode, text string, done func(error)) {
	s.mu.Lock()
	var ids []SessionID
	for id := range s.sessions {
		if match(id) {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	var changes []Change
	for _, id := range ids {
		changes = append(changes, s.forget(id, End{Cause: CauseKicked, Reason: reason, Text: text})...)
	}
	if done == nil {
		done = func(error) {}
	}
	if len(changes) == 0 {
		done(nil)
		return
	}
	s.store.Commit(changes, func(err error) {
		s.committed(err)
		done(err)
	})
}

func (s *Server) forget(id SessionID, e End) []Change {
	life := s.lives.of(id)
	life.Lock()
	defer life.Unlock()
	ses := s.session(id)
	if ses == nil {
		return nil
	}
	ses.mu.Lock()
	c := ses.conn
	ses.mu.Unlock()
	if c != nil {
		c.stop(e)
		s.finishLocked(c)
	}
	if ses = s.session(id); ses == nil { // it ended with its connection
		return nil
	}
	return s.endSession(ses, nil)
}

// Shutdown stops the server: no connection is accepted, none is read any
// more; what was received is acked and written; then connections are closed,
// 5.0 clients get DISCONNECT 0x8B. Wills of stored sessions are published after
// the next start, if their clients are not back by then; no other will is. It
// returns when every goroutine of the server has ended. When ctx ends before,
// it closes what is left at once and returns the error of ctx, without waiting
// for a handler that did not ack.
func (s *Server) Shutdown(ctx context.Context) error {
	quiet := s.refuseAll()
	for _, c := range s.connections() {
		c.stop(End{Cause: CauseShutdown, Reason: packet.ServerShuttingDown, Text: "the server stops"})
	}
	err := s.waitQuiet(ctx, quiet)
	if err != nil {
		for _, c := range s.connections() {
			c.abort(End{Cause: CauseShutdown})
		}
	}
	s.cancel()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		s.sched.close()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return err
}

// refuseAll closes the listeners, and gives a channel that closes when no
// connection is left.
func (s *Server) refuseAll() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for l := range s.listeners {
		_ = l.Close()
	}
	if s.quiet == nil {
		s.quiet = make(chan struct{})
	}
	quiet := s.quiet
	if len(s.conns) == 0 {
		close(s.quiet)
		s.quiet = nil
	}
	return quiet
}

func (s *Server) waitQuiet(ctx context.Context, quiet <-chan struct{}) error {
	select {
	case <-quiet:
	case <-ctx.Done():
		return ctx.Err()
	}
	drained := s.self.drain()
	if drained == nil {
		return nil
	}
	select {
	case <-drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
