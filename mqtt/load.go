package mqtt

import (
	"context"
	"slices"
	"time"
)

// wanted gives the entries whose messages are to be read from the store next,
// none while that is under way or nothing can be sent; s.mu is held.
func (s *session) wanted(c *conn) []uint64 {
	if s.loading || s.inflight >= c.window {
		return nil
	}
	page := max(1, s.srv.limits.MemoryQueue)
	var seqs []uint64
	for i := s.queue.from(s.nextSend); i < len(s.queue.all) && len(seqs) < page; i++ {
		e := &s.queue.all[i]
		if len(seqs) == 0 && (e.msg != nil || e.state != entryReady && e.state != entryGone) {
			return nil // something else is next
		}
		if e.state == entryReady && e.msg == nil {
			seqs = append(seqs, e.seq)
		}
	}
	s.loading = len(seqs) > 0
	return seqs
}

// loadRetry is how long a session waits after its store could not be read.
const loadRetry = time.Second

// load reads a page of the queue from the store.
func (s *session) load(wanted []uint64) {
	items, err := s.srv.store.Queue(s.srv.ctx, s.id, wanted[0]-1, len(wanted))
	if err != nil && s.srv.ctx.Err() == nil {
		s.srv.storeFailed(err)
		waitFor(s.srv.ctx, loadRetry)
	}
	s.mu.Lock()
	s.loading = false
	c := s.conn
	if err == nil && c != nil {
		s.fill(items, wanted)
	}
	drops := s.takeDrops()
	s.mu.Unlock()
	s.reportDrops(drops)
	if c != nil {
		c.wake()
	}
}

// fill puts messages that were read to their entries. One that the store does
// not have, although it was durable when it was asked for, is given up: it
// must not hold what is behind it.
func (s *session) fill(items []Queued, wanted []uint64) {
	complete := len(items) < len(wanted)
	for _, seq := range wanted {
		i, found := slices.BinarySearchFunc(items, seq, func(q Queued, seq uint64) int {
			return int(int64(q.Seq - seq))
		})
		e := s.queue.find(seq)
		switch {
		case e == nil || e.state != entryReady || e.msg != nil:
		case found && items[i].Message != nil:
			q := &items[i]
			e.msg, e.ids, e.qos, e.retain = q.Message, q.SubscriptionIDs, q.QoS, q.Retain
			s.queue.held++
		case found || complete || i < len(items):
			s.dropEntry(e, DropLost)
		}
	}
	s.queue.trim()
}

// waitFor waits for d or for the end of ctx.
func waitFor(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
