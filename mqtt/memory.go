package mqtt

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// MemoryStore is a [Store] that keeps everything in memory. Sessions survive
// their connections, and a [Server] that is given the same store, but not the
// process.
type MemoryStore struct {
	mu       sync.Mutex
	sessions map[SessionID]*memorySession
	retained map[string]*Message
}

type memorySession struct {
	record        SessionRecord
	subscriptions map[string]SubscriptionRecord
	received      map[uint16]struct{}
	queue         []memoryQueued // ascending by Seq
}

type memoryQueued struct {
	Queued
	size int
}

// NewMemoryStore makes an empty store.
func NewMemoryStore() *MemoryStore {
	return &MemoryStore{sessions: map[SessionID]*memorySession{}, retained: map[string]*Message{}}
}

// Commit implements [Store]; done is called before it returns, with nil.
func (m *MemoryStore) Commit(changes []Change, done func(error)) {
	m.mu.Lock()
	for i := range changes {
		m.apply(&changes[i])
	}
	m.mu.Unlock()
	done(nil)
}

func (m *MemoryStore) apply(c *Change) {
	switch c.Kind {
	case Retain:
		m.retained[c.Message.Topic] = c.Message
		return
	case Unretain:
		delete(m.retained, c.Topic)
		return
	case ExpireRetained:
		if r := m.retained[c.Topic]; r != nil && !r.Created.After(c.Message.Created) {
			delete(m.retained, c.Topic)
		}
		return
	case DeleteSession:
		delete(m.sessions, c.Session)
		return
	}
	s := m.sessions[c.Session]
	if s == nil {
		if c.Kind != SaveSession {
			return
		}
		s = &memorySession{subscriptions: map[string]SubscriptionRecord{}, received: map[uint16]struct{}{}}
		m.sessions[c.Session] = s
	}
	s.apply(c)
}

func (s *memorySession) apply(c *Change) {
	switch c.Kind {
	case SaveSession:
		s.record = *c.Record
	case AddSubscription:
		s.subscriptions[c.Subscription.Filter] = *c.Subscription
	case RemoveSubscription:
		delete(s.subscriptions, c.Subscription.Filter)
	case Enqueue:
		s.enqueue(memoryQueued{*c.Queued, c.Size})
	case Dequeue:
		if i, found := s.find(c.Seq); found {
			s.queue = slices.Delete(s.queue, i, i+1)
		}
	case MarkSent:
		for i := range s.queue {
			if s.queue[i].Seq <= c.Seq {
				s.queue[i].Sent = true
			}
		}
	case Release:
		if i, found := s.find(c.Seq); found {
			s.queue[i].Released, s.queue[i].Message = true, nil
		}
	case AddReceived:
		s.received[c.PacketID] = struct{}{}
	case RemoveReceived:
		delete(s.received, c.PacketID)
	}
}

func (s *memorySession) find(seq uint64) (int, bool) {
	return slices.BinarySearchFunc(s.queue, seq, func(q memoryQueued, seq uint64) int {
		switch {
		case q.Seq < seq:
			return -1
		case q.Seq > seq:
			return 1
		default:
			return 0
		}
	})
}

func (s *memorySession) enqueue(q memoryQueued) {
	i, found := s.find(q.Seq)
	if found {
		s.queue[i] = q
		return
	}
	s.queue = slices.Insert(s.queue, i, q)
}

// Load implements [Store].
func (m *MemoryStore) Load(_ context.Context, v Visitor) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.retained {
		if err := v.Retained(r); err != nil {
			return err
		}
	}
	for id, s := range m.sessions {
		stored := StoredSession{ID: id, Record: s.record, Received: slices.Sorted(maps.Keys(s.received))}
		for _, filter := range slices.Sorted(maps.Keys(s.subscriptions)) {
			stored.Subscriptions = append(stored.Subscriptions, s.subscriptions[filter])
		}
		for _, q := range s.queue {
			stored.Queue = append(stored.Queue, QueueEntry{Seq: q.Seq, Size: q.size, Sent: q.Sent, Released: q.Released})
		}
		if err := v.Session(stored); err != nil {
			return err
		}
	}
	return nil
}

// Queue implements [Store].
func (m *MemoryStore) Queue(_ context.Context, id SessionID, after uint64, limit int) ([]Queued, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sessions[id]
	if s == nil {
		return nil, nil
	}
	var page []Queued
	i, _ := s.find(after + 1)
	for ; i < len(s.queue) && len(page) < limit; i++ {
		page = append(page, s.queue[i].Queued)
	}
	return page, nil
}
