package mqtt

import (
	"container/heap"
	"sync"
	"time"
)

// dates are the moments at which something is due for a session that is
// offline: its will, or its end. A session has one at most, however often its
// client comes and goes.
type dates struct {
	mu    sync.Mutex
	items dateHeap
}

// date is the place of a session in a [dateHeap]; dates.mu guards it.
type date struct {
	at    time.Time
	place int // plus one; 0: not in it
}

type dateHeap []*session

func (h dateHeap) Len() int           { return len(h) }
func (h dateHeap) Less(i, j int) bool { return h[i].date.at.Before(h[j].date.at) }
func (h dateHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].date.place, h[j].date.place = i+1, j+1
}

func (h *dateHeap) Push(x any) {
	s := x.(*session)
	*h = append(*h, s)
	s.date.place = len(*h)
}

func (h *dateHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	last.date.place = 0
	return last
}

// set moves the date of s to at; zero is none.
func (d *dates) set(at time.Time, s *session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s.date.at = at
	switch placed := s.date.place > 0; {
	case at.IsZero() && placed:
		heap.Remove(&d.items, s.date.place-1)
	case at.IsZero():
	case placed:
		heap.Fix(&d.items, s.date.place-1)
	default:
		heap.Push(&d.items, s)
	}
}

// passed takes out the sessions whose date has come.
func (d *dates) passed(now time.Time) []*session {
	d.mu.Lock()
	defer d.mu.Unlock()
	var due []*session
	for len(d.items) > 0 && !now.Before(d.items[0].date.at) {
		due = append(due, heap.Pop(&d.items).(*session))
	}
	return due
}
