package mqtt

import (
	"container/heap"
	"time"
)

// retainedHeap is the retained messages that expire, soonest first. A topic is
// in it once at most.
type retainedHeap []*retainedNode

func (h retainedHeap) Len() int           { return len(h) }
func (h retainedHeap) Less(i, j int) bool { return h[i].expires().Before(h[j].expires()) }
func (h retainedHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}

func (h *retainedHeap) Push(x any) {
	n := x.(*retainedNode)
	*h = append(*h, n)
	n.place = len(*h)
}

func (h *retainedHeap) Pop() any {
	old := *h
	n := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	n.place = 0
	return n
}

// expires gives the end of the node's message; zero when it has none or never
// ends.
func (n *retainedNode) expires() time.Time {
	if n.message == nil {
		return time.Time{}
	}
	at, _ := n.message.Expires()
	return at
}

// schedule brings the place of n in line with its message; t.mu is held.
func (t *retainedTree) schedule(n *retainedNode) {
	ends := !n.expires().IsZero()
	switch {
	case ends && n.place == 0:
		heap.Push(&t.due, n)
	case ends:
		heap.Fix(&t.due, n.place-1)
	case n.place > 0:
		heap.Remove(&t.due, n.place-1)
	}
}

// expire removes the messages whose time has passed, and gives them.
func (t *retainedTree) expire(now time.Time) []*Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	var gone []*Message
	for len(t.due) > 0 && t.due[0].message.expired(now) {
		gone = append(gone, t.due[0].message)
		t.removeLocked(t.due[0].message.Topic)
	}
	return gone
}

// expireRetained forgets retained messages that nobody will be sent any more,
// here and in the store. [MQTT-3.3.2-5]
func (s *Server) expireRetained(now time.Time) {
	var changes []Change
	for _, m := range s.retained.expire(now) {
		changes = append(changes, Change{Kind: ExpireRetained, Topic: m.Topic, Message: m})
	}
	s.commit(changes)
}
