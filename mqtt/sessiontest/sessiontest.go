// Package sessiontest holds the rules of [mqtt.Store] as tests. Every store of
// sessions passes them.
package sessiontest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// Open opens the store of one test, or opens it again with everything that
// was committed, as after the end of the process. The first call of a test
// opens an empty one.
type Open func(t *testing.T) mqtt.Store

// Run tests a store. fresh is called once for each rule.
func Run(t *testing.T, fresh func(t *testing.T) Open) {
	for _, rule := range []struct {
		name string
		test func(t *testing.T, open Open)
	}{
		{"a session comes back as it was saved", session},
		{"subscriptions replace each other by filter", subscriptions},
		{"the queue is in ascending order and read in pages", queuePages},
		{"an entry keeps everything that it was given", queueEntry},
		{"sent, released and removed entries", queueStates},
		{"received identifiers", received},
		{"a deleted session is gone with all that belongs to it", deleted},
		{"changes of a session that is not there do nothing", absent},
		{"changes may be committed twice", twice},
		{"retained messages replace each other by topic", retained},
		{"an expired retained message makes way for nothing newer", expired},
		{"sessions of two users do not meet", users},
		{"one message in many queues", shared},
		{"calls take effect in their order", ordered},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, fresh(t)) })
	}
}

var created = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

func id(user, client string) mqtt.SessionID { return mqtt.SessionID{User: user, ClientID: client} }

var one = id("user", "client")

func save(s mqtt.SessionID) mqtt.Change {
	return mqtt.Change{Kind: mqtt.SaveSession, Session: s, Record: &mqtt.SessionRecord{Created: created, Expiry: time.Hour, NextSeq: 1}}
}

func message(topic, payload string) *mqtt.Message {
	return &mqtt.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Created: created}
}

func enqueue(s mqtt.SessionID, seq uint64, m *mqtt.Message) mqtt.Change {
	return mqtt.Change{Kind: mqtt.Enqueue, Session: s, Seq: seq, Size: 100, Queued: &mqtt.Queued{Seq: seq, QoS: 1, Message: m}}
}

// commit makes changes durable and fails the test if they are not.
func commit(t *testing.T, s mqtt.Store, changes ...mqtt.Change) {
	t.Helper()
	done := make(chan error, 1)
	s.Commit(changes, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

// contents is everything that a store holds.
type contents struct {
	Sessions []mqtt.StoredSession
	Retained []*mqtt.Message
}

func load(t *testing.T, s mqtt.Store) contents {
	t.Helper()
	var c contents
	err := s.Load(context.Background(), mqtt.Visitor{
		Session:  func(x mqtt.StoredSession) error { c.Sessions = append(c.Sessions, x); return nil },
		Retained: func(m *mqtt.Message) error { c.Retained = append(c.Retained, m); return nil },
	})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	slices.SortFunc(c.Sessions, func(a, b mqtt.StoredSession) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
	slices.SortFunc(c.Retained, func(a, b *mqtt.Message) int { return cmp.Compare(a.Topic, b.Topic) })
	for i := range c.Sessions {
		slices.SortFunc(c.Sessions[i].Subscriptions, func(a, b mqtt.SubscriptionRecord) int { return cmp.Compare(a.Filter, b.Filter) })
		slices.Sort(c.Sessions[i].Received)
	}
	return c
}

// only gives the one session that the store holds.
func only(t *testing.T, s mqtt.Store) mqtt.StoredSession {
	t.Helper()
	c := load(t, s)
	if len(c.Sessions) != 1 {
		t.Fatalf("got %d sessions, want 1", len(c.Sessions))
	}
	return c.Sessions[0]
}

func queue(t *testing.T, s mqtt.Store, session mqtt.SessionID, after uint64, limit int) []mqtt.Queued {
	t.Helper()
	q, err := s.Queue(context.Background(), session, after, limit)
	if err != nil {
		t.Fatalf("Queue: %v", err)
	}
	return q
}

// seqs gives the numbers and payloads of q in one line.
func seqs(q []mqtt.Queued) string {
	s := ""
	for _, e := range q {
		s += fmt.Sprint(e.Seq)
		if e.Message != nil {
			s += string(e.Message.Payload)
		}
		s += " "
	}
	return s
}

func properties() packet.PublishProperties {
	expiry := uint32(60)
	return packet.PublishProperties{
		PayloadFormat: 1, MessageExpiry: &expiry, ContentType: "text/plain", ResponseTopic: "answer",
		CorrelationData: []byte{0, 1, 255}, User: []packet.UserProperty{{Name: "b", Value: "1"}, {Name: "a", Value: ""}, {Name: "b", Value: "1"}},
	}
}
