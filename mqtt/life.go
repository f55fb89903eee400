package mqtt

import (
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// The beginning and the end of connections of one session happen under one
// lock, so that the end of an old connection never undoes what the beginning
// of a new one did. The lock is shared by a few sessions, and is not held
// while something waits for the disk.
const lifeLocks = 256

type lives struct {
	seed  maphash.Seed
	locks [lifeLocks]sync.Mutex
}

func (l *lives) of(id SessionID) *sync.Mutex {
	return &l.locks[maphash.Comparable(l.seed, id)%lifeLocks]
}

// errGone: the connection ended while it waited for its session.
var errGone = errors.New("mqtt: connection ended during CONNECT")

// attach gives c its session and makes it durable.
func (s *Server) attach(c *conn, clean bool, will *Message, delay time.Duration) (*session, bool, error) {
	id := c.client.Session
	life := s.lives.of(id)
	for {
		life.Lock()
		drained := s.takeOver(id)
		if drained == nil {
			break
		}
		life.Unlock()
		// What the old connection received is at the handler: it must be stored
		// before the new one sends more, or again.
		select {
		case <-drained:
		case <-s.ctx.Done():
			return nil, false, errGone
		}
		if c.hasEnded() {
			return nil, false, errStop
		}
	}
	session, present, changes, err := s.enter(c, clean, will, delay)
	if err != nil {
		life.Unlock()
		return nil, false, err
	}
	durable := s.commitWait(changes)
	life.Unlock()
	if err := <-durable; err != nil {
		return nil, false, &Refusal{Reason: packet.ServerUnavailable, Text: "the server could not store the session"}
	}
	return session, present, nil
}

// takeOver ends the connection that the session has, if any. [MQTT-3.1.4-3]
// When messages of it are still at the handler, the channel closes when they
// are not any more.
func (s *Server) takeOver(id SessionID) <-chan struct{} {
	old := s.session(id)
	if old == nil {
		return nil
	}
	old.mu.Lock()
	c, draining := old.conn, old.draining
	old.mu.Unlock()
	if c != nil {
		s.count.takenOver.Add(1)
		c.stop(End{Cause: CauseTakenOver, Reason: packet.SessionTakenOver, Text: "the same client connected again"})
		s.finishLocked(c)
		draining = c
	}
	if draining == nil {
		return nil
	}
	return draining.drain()
}

// drain gives a channel that closes when nothing of c is at the handler, or
// nil when that is so now.
func (c *conn) drain() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == 0 {
		return nil
	}
	if c.drained == nil {
		c.drained = make(chan struct{})
	}
	return c.drained
}

// enter finds or makes the session. The lock of its identity is held.
func (s *Server) enter(c *conn, clean bool, will *Message, delay time.Duration) (*session, bool, []Change, error) {
	id, now := c.client.Session, s.now()
	var changes []Change
	ses := s.session(id)                        // [MQTT-3.1.2-5] [MQTT-3.1.2-6] [MQTT-3.1.3-2]
	if ses != nil && (clean || ses.over(now)) { // [MQTT-3.1.2-4] [MQTT-3.1.4-4]
		changes = s.endSession(ses, changes)
		ses = nil
	}
	present := ses != nil
	if !present {
		ses = &session{id: id, srv: s, created: now, stored: c.client.SessionExpiry > 0, nextSeq: 1}
		if !s.addSession(ses) {
			return nil, false, nil, &Refusal{Reason: packet.QuotaExceeded, Text: "the server has too many sessions"}
		}
	}
	ses.mu.Lock()
	ses.user, ses.expiry, ses.ends = c.client.User, c.client.SessionExpiry, time.Time{}
	ses.will, ses.delay, ses.willAt = will, delay, time.Time{} // [MQTT-3.1.3-9]: a delayed will is cancelled
	s.dates.set(time.Time{}, ses)
	ses.conn, ses.nextSend, ses.inflight, ses.draining = c, 0, 0, nil
	if ses.stored || will != nil { // a will outlives the process in any case [MQTT-3.1.2-7]
		ses.recorded = true
		changes = append(changes, ses.save()) // [MQTT-3.1.2-23]
	}
	ses.mu.Unlock()
	if present {
		_, revoked := s.revoke(ses, c.client)
		changes = append(changes, revoked...)
	}
	c.mu.Lock()
	c.session = ses
	c.mu.Unlock()
	return ses, present, changes, nil
}

// over reports whether the session's time has passed.
func (s *session) over(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn == nil && !s.ends.IsZero() && !now.Before(s.ends)
}

// save gives the record of a stored session; s.mu is held.
func (s *session) save() Change {
	return Change{Kind: SaveSession, Session: s.id, Record: &SessionRecord{
		Created: s.created, Service: s.user.Service, Expiry: s.expiry, Ends: s.ends, NextSeq: s.nextSeq,
		Will: s.will, WillDelay: s.delay, WillAt: s.willAt,
	}}
}

// finish ends what is left of a connection.
func (s *Server) finish(c *conn) {
	if c.client == nil {
		return
	}
	life := s.lives.of(c.client.Session)
	life.Lock()
	defer life.Unlock()
	s.finishLocked(c)
}

// finishLocked takes c out of its session, once.
func (s *Server) finishLocked(c *conn) {
	if c.finished {
		return
	}
	c.finished = true
	c.mu.Lock()
	ses, end, opened := c.session, c.end, c.open
	c.mu.Unlock()
	if ses == nil {
		return
	}
	ses.online.Store(false)
	changes, will := s.leave(ses, c, end)
	s.commit(changes)
	if will != nil {
		s.publishWill(c, c.client, will)
	}
	if opened {
		s.disconnected(c, end)
	}
}

// leave detaches c from its session, and gives what is to be stored and the
// will that is to be published now.
func (s *Server) leave(ses *session, c *conn, end End) (changes []Change, will *Message) {
	now := s.now()
	ses.mu.Lock()
	if ses.conn != c {
		ses.mu.Unlock()
		return nil, nil
	}
	ses.conn = nil
	ses.restRetained()
	if c.drain() != nil {
		ses.draining = c
	}
	ses.queue.rest(ses.nextSend, ses.stored)
	ses.nextSend, ses.inflight = 0, 0
	if end.Cause == CauseDisconnect { // [MQTT-3.14.4-3]
		ses.will = nil
	}
	defers := end.Cause == CauseShutdown && ses.stored // see DESIGN.md: wills and the end of the server
	if !defers && ses.will != nil && (ses.delay == 0 || ses.expiry == 0) {
		will, ses.will = ses.will, nil // [MQTT-3.1.2-8] [MQTT-3.1.2-10] [MQTT-3.1.3-9]
	}
	drops := ses.takeDrops()
	if ses.expiry == 0 {
		ses.mu.Unlock()
		ses.reportDrops(drops)
		return s.endSession(ses, nil), will
	}
	if ses.expiry != Forever {
		ses.ends = now.Add(ses.expiry)
	}
	if ses.will != nil {
		ses.willAt = now.Add(ses.delay)
	}
	s.dates.set(ses.due(), ses)
	changes = append(changes, ses.save())
	ses.mu.Unlock()
	ses.reportDrops(drops)
	return changes, will
}

// due is when something has to happen to an offline session; zero: never.
func (s *session) due() time.Time {
	if !s.willAt.IsZero() && (s.ends.IsZero() || s.willAt.Before(s.ends)) {
		return s.willAt
	}
	return s.ends
}

// rest makes what was in flight wait for the next connection. Messages of a
// stored session are in the store from now on.
func (q *queue) rest(nextSend uint64, stored bool) {
	for i := q.head; i < len(q.all); i++ {
		e := &q.all[i]
		if e.state == entryInflight {
			e.state, e.sent = entryReady, true
		}
		if stored && e.state == entryReady {
			e.msg, e.ids = nil, nil
		}
	}
	q.held = 0
}

// endSession removes a session for good: [MQTT-4.1.0-2]. Its will, if it is
// still due, is published by its end. The lock of its identity is held.
func (s *Server) endSession(ses *session, changes []Change) []Change {
	ses.mu.Lock()
	ses.gone = true
	subs, will := ses.subs, ses.will
	ses.subs, ses.received, ses.queue, ses.will = nil, nil, queue{}, nil
	ses.asked, ses.replay = nil, replay{}
	ses.mu.Unlock()
	for _, sub := range subs {
		s.subs.remove(sub)
	}
	s.removeSession(ses)
	s.dates.set(time.Time{}, ses)
	if will != nil {
		s.publishWill(&s.self, &Client{Session: ses.id, User: ses.user}, will)
	}
	if ses.recorded {
		changes = append(changes, Change{Kind: DeleteSession, Session: ses.id})
	}
	return changes
}
