package broker_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/broker"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/postgres"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/sessiontest"
	"github.com/trefoil-iot/trefoil/test/pgtest"
)

// process is what a running server has around its session store.
type process struct {
	t    *testing.T
	db   store.Store
	loop *ingest.Loop
	runs sync.WaitGroup
}

// begin opens the data in dir; wrap may put something between the commit loop
// and the database.
func begin(t *testing.T, dir string, wrap func(store.Store) store.Store) *process {
	t.Helper()
	db, err := sqlite.Open(t.Context(), dir, store.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return beginOn(t, db, wrap)
}

func beginOn(t *testing.T, db store.Store, wrap func(store.Store) store.Store) *process {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	ledger, err := ingest.NewLedger(t.Context(), db.Rows(), time.Now, everybody{})
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, db: db, loop: ingest.New(ingest.Config{
		Store: wrap(db), Ledger: ledger, Meter: everybody{}, Log: log, Now: time.Now,
		Known: func(trefoil.DeviceID) bool { return true },
	})}
	p.runs.Go(p.loop.Run)
	return p
}

func (p *process) sessions() *broker.Sessions { return broker.NewSessions(p.db.Rows(), p.loop) }

func (p *process) end() {
	p.loop.Stop()
	p.runs.Wait()
	if err := p.db.Close(); err != nil {
		p.t.Errorf("Close: %v", err)
	}
}

func asItIs(s store.Store) store.Store { return s }

func TestSessionsInSQLiteKeepTheContractOfTheEngine(t *testing.T) {
	sessiontest.Run(t, func(t *testing.T) sessiontest.Open {
		dir := t.TempDir()
		var running *process
		t.Cleanup(func() { running.end() })
		return func(t *testing.T) mqtt.Store {
			if running != nil {
				running.end()
			}
			running = begin(t, dir, asItIs)
			return running.sessions()
		}
	})
}

func TestSessionsInPostgreSQLKeepTheContractOfTheEngine(t *testing.T) {
	cluster, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Errorf("end PostgreSQL: %v", err)
		}
	})
	sessiontest.Run(t, func(t *testing.T) sessiontest.Open {
		url := cluster.Database(t)
		var running *process
		t.Cleanup(func() { running.end() })
		return func(t *testing.T) mqtt.Store {
			if running != nil {
				running.end()
			}
			db, err := postgres.Open(t.Context(), url, store.Options{}, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			running = beginOn(t, db, asItIs)
			return running.sessions()
		}
	})
}

// commitAll commits the changes and gives what was reported.
func commitAll(s *broker.Sessions, changes ...mqtt.Change) error {
	done := make(chan error, 1)
	s.Commit(changes, func(err error) { done <- err })
	return <-done
}

var somebody = mqtt.SessionID{User: "device:a", ClientID: "a"}

func saved() mqtt.Change {
	return mqtt.Change{Kind: mqtt.SaveSession, Session: somebody, Record: &mqtt.SessionRecord{Expiry: mqtt.Forever, NextSeq: 1}}
}

func enqueued(seq uint64) mqtt.Change {
	m := &mqtt.Message{Topic: "t", Payload: fmt.Append(nil, seq), QoS: 1}
	return mqtt.Change{Kind: mqtt.Enqueue, Session: somebody, Seq: seq, Size: 1, Queued: &mqtt.Queued{Seq: seq, QoS: 1, Message: m}}
}

func TestACommitOfSessionsIsReportedWhenItIsDurableAndNotBefore(t *testing.T) {
	gate := &gated{atGate: make(chan int), permit: make(chan error)}
	p := begin(t, t.TempDir(), func(s store.Store) store.Store {
		gate.Store = s
		return gate
	})
	defer p.end()
	s := p.sessions()
	if err := commitAll(s, saved()); err != nil {
		t.Fatal(err)
	}
	// The reading keeps the commit, which the change shares, at the gate.
	m := p.loop.NewMessage()
	m.Device, m.Received = "a", trefoil.InstantOf(time.Now())
	m.Readings = append(m.Readings[:0], trefoil.Reading{Metric: "x", Time: m.Received, Value: trefoil.NumberValue(1)})
	done := make(chan error, 2)
	p.loop.Accept(t.Context(), ingest.Write{Message: m, Done: func(_ trefoil.Seq, err error) { done <- err }})
	<-gate.atGate
	s.Commit([]mqtt.Change{enqueued(1)}, func(err error) { done <- err })
	select {
	case err := <-done:
		t.Errorf("reported %v while the commit before it was on its way", err)
	default:
	}
	if q, err := s.Queue(t.Context(), somebody, 0, 10); err != nil || len(q) != 0 {
		t.Errorf("queue before the commit: got %v, %v; want nothing", q, err)
	}
	gate.permit <- nil
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("commit: %v", err)
		}
	}
	if q, err := s.Queue(t.Context(), somebody, 0, 10); err != nil || len(q) != 1 {
		t.Errorf("queue after the commit: got %v, %v; want one message", q, err)
	}
}

func TestAChangeThatCannotBeStoredLeavesNothingOfItsCommit(t *testing.T) {
	p := begin(t, t.TempDir(), asItIs)
	defer p.end()
	s := p.sessions()
	err := commitAll(s, saved(), enqueued(1), mqtt.Change{Kind: 99, Session: somebody})
	if err == nil {
		t.Error("an unknown change was committed, want an error")
	}
	if err := commitAll(s, mqtt.Change{Kind: mqtt.Unretain, Topic: "t"}); err != nil {
		t.Errorf("the commit after it: %v", err)
	}
	stop := errors.New("there is a session")
	err = s.Load(t.Context(), mqtt.Visitor{
		Session:  func(mqtt.StoredSession) error { return stop },
		Retained: func(*mqtt.Message) error { return nil },
	})
	if err != nil {
		t.Errorf("Load: %v, want an empty store", err)
	}
}

func TestTheCallerMayUseItsChangesAgainAfterCommit(t *testing.T) {
	p := begin(t, t.TempDir(), asItIs)
	defer p.end()
	s := p.sessions()
	done := make(chan error, 101)
	changes := []mqtt.Change{saved()}
	s.Commit(changes, func(err error) { done <- err })
	for seq := range uint64(100) {
		changes[0] = enqueued(seq + 1)
		s.Commit(changes, func(err error) { done <- err })
	}
	for range 101 {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	q, err := s.Queue(context.Background(), somebody, 0, 200)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range q {
		if want := uint64(i + 1); e.Seq != want || string(e.Message.Payload) != fmt.Sprint(want) {
			t.Fatalf("entry %d: got number %d with %q, want %d", i, e.Seq, e.Message.Payload, want)
		}
	}
	if len(q) != 100 {
		t.Errorf("queue: got %d messages, want 100", len(q))
	}
}
