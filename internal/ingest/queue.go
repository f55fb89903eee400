package ingest

import (
	"context"
	"sync"
	"time"
)

// queue is the bounded queue between those who write and the commit loop. It
// counts weight instead of entries, because one message may carry one reading
// or ten thousand.
type queue struct {
	limit int

	mu     sync.Mutex
	items  []Write
	weight int
	closed bool
	room   chan struct{} // closed by take; nil while nobody waits for room

	wake chan struct{} // has an entry when items may not be empty
}

// writeWeight is what a write weighs besides its readings.
const writeWeight = 4

func newQueue(limit int) *queue {
	return &queue{limit: limit, wake: make(chan struct{}, 1)}
}

// put waits for room. It fails when ctx ends or the queue is closed.
func (q *queue) put(ctx context.Context, w Write) error {
	for {
		room, err := q.offer(w, true)
		if err != nil || room == nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryPut is put without waiting; it reports ErrFull where put would wait.
func (q *queue) tryPut(w Write) error {
	_, err := q.offer(w, false)
	return err
}

// offer takes w when there is room. Otherwise it returns a channel that is
// closed when there may be room again, or ErrFull when the caller does not
// want to wait. An empty queue takes a write of any weight.
func (q *queue) offer(w Write, wait bool) (room <-chan struct{}, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return nil, errStopped
	case q.weight > 0 && q.weight+w.weight() > q.limit:
		if !wait {
			return nil, ErrFull
		}
		if q.room == nil {
			q.room = make(chan struct{})
		}
		return q.room, nil
	}
	q.items = append(q.items, w)
	q.weight += w.weight()
	if len(q.items) == 1 {
		q.signal()
	}
	return nil, nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take waits for writes and returns all of them, reusing the memory of buf.
// It returns none when tick fires first, or at once when hurry is set; open is
// false when the queue is closed and empty.
func (q *queue) take(buf []Write, tick <-chan time.Time, hurry bool) (batch []Write, open bool) {
	batch, open = q.swap(buf)
	if len(batch) > 0 || !open || hurry {
		return batch, open
	}
	select {
	case <-q.wake:
		return q.swap(buf)
	case <-tick:
		return buf[:0], true
	}
}

func (q *queue) swap(buf []Write) (batch []Write, open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) == 0 {
		return buf[:0], !q.closed
	}
	batch, q.items = q.items, buf[:0]
	q.weight = 0
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	return batch, true
}

// close refuses further writes. What is in the queue can still be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
	q.signal()
}

// depth is the weight that waits, of limit.
func (q *queue) depth() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.weight
}
