package sessiontest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/trefoil-iot/trefoil/mqtt"
)

func equal[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: got %+v, want %+v\n%s", what, got, want, d)
	}
}

func session(t *testing.T, open Open) {
	will := message("will", "gone")
	will.QoS, will.Retain, will.Properties = 2, true, properties()
	want := mqtt.SessionRecord{
		Created: created, Service: true, Expiry: time.Hour, Ends: created.Add(time.Hour), NextSeq: 42,
		Will: will, WillDelay: time.Minute, WillAt: created.Add(time.Minute),
	}
	s := open(t)
	commit(t, s, save(one), mqtt.Change{Kind: mqtt.SaveSession, Session: one, Record: &want})
	s = open(t)
	equal(t, "record", only(t, s).Record, want)
	forever := mqtt.SessionRecord{Created: created, Expiry: mqtt.Forever, NextSeq: 43}
	commit(t, s, mqtt.Change{Kind: mqtt.SaveSession, Session: one, Record: &forever})
	equal(t, "record after a change", only(t, open(t)).Record, forever)
	stop := errors.New("stop")
	err := open(t).Load(context.Background(), mqtt.Visitor{
		Session: func(mqtt.StoredSession) error { return stop }, Retained: func(*mqtt.Message) error { return nil },
	})
	if !errors.Is(err, stop) {
		t.Errorf("Load = %v, want the error of the visitor", err)
	}
}

func subscriptions(t *testing.T, open Open) {
	s := open(t)
	add := func(r mqtt.SubscriptionRecord) mqtt.Change {
		return mqtt.Change{Kind: mqtt.AddSubscription, Session: one, Subscription: &r}
	}
	a := mqtt.SubscriptionRecord{Filter: "a/#", QoS: 1}
	b := mqtt.SubscriptionRecord{Filter: "$share/g/b", QoS: 2, RetainAsPublished: true, ID: 268_435_455}
	newer := mqtt.SubscriptionRecord{Filter: "a/#", QoS: 2, NoLocal: true, RetainHandling: 2}
	commit(t, s, save(one), add(a), add(b))
	commit(t, s, add(newer), save(one))
	equal(t, "subscriptions", only(t, open(t)).Subscriptions, []mqtt.SubscriptionRecord{b, newer})
	s = open(t)
	commit(t, s, mqtt.Change{Kind: mqtt.RemoveSubscription, Session: one, Subscription: &mqtt.SubscriptionRecord{Filter: "a/#"}})
	equal(t, "after removing one", only(t, open(t)).Subscriptions, []mqtt.SubscriptionRecord{b})
}

func queuePages(t *testing.T, open Open) {
	s := open(t)
	commit(t, s, save(one))
	for _, seq := range []uint64{3, 1, 7, 5} { // commits of two publishers may pass each other
		commit(t, s, enqueue(one, seq, message("t", fmt.Sprint("m", seq))))
	}
	s = open(t)
	equal(t, "first page", seqs(queue(t, s, one, 0, 2)), "1m1 3m3 ")
	equal(t, "second page", seqs(queue(t, s, one, 3, 2)), "5m5 7m7 ")
	equal(t, "behind the end", seqs(queue(t, s, one, 7, 2)), "")
	equal(t, "between", seqs(queue(t, s, one, 4, 1)), "5m5 ")
	equal(t, "other session", seqs(queue(t, s, id("user", "other"), 0, 2)), "")
	want := []mqtt.QueueEntry{{Seq: 1, Size: 100}, {Seq: 3, Size: 100}, {Seq: 5, Size: 100}, {Seq: 7, Size: 100}}
	equal(t, "entries", only(t, s).Queue, want)
}

func queueEntry(t *testing.T, open Open) {
	m := message("a/ü", "")
	m.Payload, m.QoS, m.Retain, m.Properties = []byte{0, 0xFF}, 2, true, properties()
	want := mqtt.Queued{Seq: 1 << 40, QoS: 2, Retain: true, SubscriptionIDs: []uint32{1, 268_435_455}, Sent: true, Message: m}
	s := open(t)
	commit(t, s, save(one), mqtt.Change{Kind: mqtt.Enqueue, Session: one, Seq: want.Seq, Size: 7, Queued: &want})
	equal(t, "entry", queue(t, open(t), one, 0, 10), []mqtt.Queued{want})
	empty := message("t", "")
	s = open(t)
	commit(t, s, enqueue(one, 1<<40, empty))
	got := queue(t, open(t), one, 0, 10)
	if len(got) != 1 || len(got[0].Message.Payload) != 0 || got[0].Message.Properties.MessageExpiry != nil || got[0].Sent {
		t.Errorf("got %+v, want the replaced entry with an empty payload and nothing added", got)
	}
}

func queueStates(t *testing.T, open Open) {
	s := open(t)
	commit(t, s, save(one))
	for seq := range uint64(4) {
		commit(t, s, enqueue(one, seq+1, message("t", "m")))
	}
	commit(t, s,
		mqtt.Change{Kind: mqtt.MarkSent, Session: one, Seq: 3},
		mqtt.Change{Kind: mqtt.Dequeue, Session: one, Seq: 1},
		mqtt.Change{Kind: mqtt.Release, Session: one, Seq: 2},
		mqtt.Change{Kind: mqtt.Release, Session: one, Seq: 99},
		mqtt.Change{Kind: mqtt.Dequeue, Session: one, Seq: 99},
	)
	s = open(t)
	want := []mqtt.QueueEntry{{Seq: 2, Size: 100, Sent: true, Released: true}, {Seq: 3, Size: 100, Sent: true}, {Seq: 4, Size: 100}}
	equal(t, "entries", only(t, s).Queue, want)
	q := queue(t, s, one, 0, 10)
	equal(t, "released in a page", len(q) == 3 && q[0].Released && q[0].Sent, true)
	equal(t, "not released", len(q) == 3 && !q[1].Released && q[1].Message != nil, true)
}

func received(t *testing.T, open Open) {
	s := open(t)
	change := func(kind mqtt.ChangeKind, id uint16) mqtt.Change {
		return mqtt.Change{Kind: kind, Session: one, PacketID: id}
	}
	commit(t, s, save(one), change(mqtt.AddReceived, 65535), change(mqtt.AddReceived, 1), change(mqtt.AddReceived, 1))
	equal(t, "received", only(t, open(t)).Received, []uint16{1, 65535})
	s = open(t)
	commit(t, s, change(mqtt.RemoveReceived, 65535), change(mqtt.RemoveReceived, 7))
	equal(t, "after PUBREL", only(t, open(t)).Received, []uint16{1})
}

func full(s mqtt.SessionID) []mqtt.Change {
	return []mqtt.Change{
		save(s),
		{Kind: mqtt.AddSubscription, Session: s, Subscription: &mqtt.SubscriptionRecord{Filter: "a", QoS: 1}},
		enqueue(s, 1, message("t", "m")),
		{Kind: mqtt.AddReceived, Session: s, PacketID: 9},
	}
}

func deleted(t *testing.T, open Open) {
	s := open(t)
	commit(t, s, full(one)...)
	commit(t, s, mqtt.Change{Kind: mqtt.DeleteSession, Session: one})
	equal(t, "sessions", len(load(t, open(t)).Sessions), 0)
	s = open(t)
	commit(t, s, save(one)) // the same identity begins with nothing
	got := only(t, open(t))
	equal(t, "left over", len(got.Subscriptions)+len(got.Queue)+len(got.Received), 0)
	equal(t, "queue", seqs(queue(t, open(t), one, 0, 10)), "")
}

func absent(t *testing.T, open Open) {
	s := open(t)
	commit(t, s, full(one)[1:]...)
	commit(t, s, mqtt.Change{Kind: mqtt.DeleteSession, Session: one})
	equal(t, "sessions", len(load(t, open(t)).Sessions), 0)
	s = open(t)
	commit(t, s, save(one))
	equal(t, "queue of a session that came later", seqs(queue(t, s, one, 0, 10)), "")
}

func twice(t *testing.T, open Open) {
	changes := append(full(one),
		mqtt.Change{Kind: mqtt.MarkSent, Session: one, Seq: 1},
		mqtt.Change{Kind: mqtt.Retain, Message: message("r", "1"), Topic: "r"},
	)
	s := open(t)
	commit(t, s, changes...)
	once := load(t, s)
	commit(t, s, changes...)
	equal(t, "contents", load(t, open(t)), once)
	s = open(t)
	end := []mqtt.Change{{Kind: mqtt.Dequeue, Session: one, Seq: 1}, {Kind: mqtt.Unretain, Topic: "r"}, {Kind: mqtt.DeleteSession, Session: one}}
	commit(t, s, end...)
	commit(t, s, end...)
	equal(t, "contents at the end", load(t, open(t)), contents{})
}

func retained(t *testing.T, open Open) {
	retain := func(m *mqtt.Message) mqtt.Change {
		return mqtt.Change{Kind: mqtt.Retain, Message: m, Topic: m.Topic}
	}
	a, b, newer := message("a", "1"), message("b", "2"), message("a", "3")
	newer.Properties = properties()
	s := open(t)
	commit(t, s, retain(a), retain(b))
	commit(t, s, retain(newer))
	equal(t, "retained", load(t, open(t)).Retained, []*mqtt.Message{newer, b})
	s = open(t)
	commit(t, s, mqtt.Change{Kind: mqtt.Unretain, Topic: "a"}, mqtt.Change{Kind: mqtt.Unretain, Topic: "none"})
	equal(t, "after removing one", load(t, open(t)).Retained, []*mqtt.Message{b})
}

func expired(t *testing.T, open Open) {
	old, kept := message("a", "1"), message("b", "1")
	newer := message("b", "2")
	newer.Created = created.Add(time.Second)
	s := open(t)
	commit(t, s,
		mqtt.Change{Kind: mqtt.Retain, Message: old, Topic: "a"},
		mqtt.Change{Kind: mqtt.Retain, Message: newer, Topic: "b"},
		mqtt.Change{Kind: mqtt.ExpireRetained, Message: old, Topic: "a"},
		mqtt.Change{Kind: mqtt.ExpireRetained, Message: kept, Topic: "b"},
		mqtt.Change{Kind: mqtt.ExpireRetained, Message: kept, Topic: "none"},
	)
	equal(t, "retained", load(t, open(t)).Retained, []*mqtt.Message{newer})
}

func users(t *testing.T, open Open) {
	a, b := id("a", "b/c"), id("a/b", "c") // they look alike when put together
	s := open(t)
	commit(t, s, append(full(a), save(b))...)
	commit(t, s, mqtt.Change{Kind: mqtt.DeleteSession, Session: b})
	got := only(t, open(t))
	equal(t, "session", got.ID, a)
	equal(t, "queue", len(got.Queue), 1)
}

func shared(t *testing.T, open Open) {
	m := message("t", "m")
	a, b := id("u", "a"), id("u", "b")
	s := open(t)
	commit(t, s, save(a), save(b), enqueue(a, 1, m), enqueue(b, 5, m))
	commit(t, s, mqtt.Change{Kind: mqtt.Dequeue, Session: a, Seq: 1})
	s = open(t)
	equal(t, "queue of the one", seqs(queue(t, s, a, 0, 10)), "")
	equal(t, "queue of the other", seqs(queue(t, s, b, 0, 10)), "5m ")
}

func ordered(t *testing.T, open Open) {
	s := open(t)
	const n = 200
	done := make(chan error, n+1)
	report := func(err error) { done <- err }
	s.Commit([]mqtt.Change{save(one)}, report)
	for i := range uint64(n) {
		s.Commit([]mqtt.Change{
			{Kind: mqtt.Dequeue, Session: one, Seq: i}, enqueue(one, i+1, message("t", "m")),
		}, report)
	}
	for range n + 1 {
		if err := <-done; err != nil {
			t.Fatalf("Commit: %v", err)
		}
	}
	equal(t, "queue", seqs(queue(t, open(t), one, 0, 10)), fmt.Sprint(n, "m "))
}
