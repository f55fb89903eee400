package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/postgres"
)

// wall stands between a store and the database and cuts the connection when
// it sees a commit: before it reaches the database, or after the database has
// answered and before the store learns it.
type wall struct {
	listener net.Listener
	to       string
	group    sync.WaitGroup

	mu    sync.Mutex
	armed string // "before", "after" or ""
	down  bool   // take no new connections
}

// behindWall gives the URL of the database behind a wall.
func behindWall(t *testing.T, url string) (*wall, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wall{listener: l, to: cluster.Address()}
	w.group.Go(w.serve)
	t.Cleanup(func() {
		_ = l.Close() // ends serve
		w.group.Wait()
	})
	return w, strings.Replace(url, cluster.Address(), l.Addr().String(), 1)
}

func (w *wall) arm(when string, down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed, w.down = when, down
}

// cuts reports whether the connection is cut now, which happens once.
func (w *wall) cuts(when string, seen bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !seen || w.armed != when {
		return false
	}
	w.armed = ""
	return true
}

func (w *wall) serve() {
	for {
		client, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		down := w.down
		w.mu.Unlock()
		server, err := net.Dial("tcp", w.to)
		if down || err != nil {
			_ = client.Close() // the test is about the other side
			continue
		}
		cut := func() { _, _ = client.Close(), server.Close() }
		w.group.Go(func() { defer cut(); w.copy(server, client, "before", []byte("Q\x00\x00\x00\x0bcommit\x00")) })
		w.group.Go(func() { defer cut(); w.copy(client, server, "after", []byte("COMMIT\x00")) })
	}
}

func (w *wall) copy(to io.Writer, from io.Reader, when string, mark []byte) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if w.cuts(when, bytes.Contains(buf[:n], mark)) || err != nil {
			return
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// count adds one to a number in a row, which must not happen twice.
func count(ctx context.Context, w store.Writer) error {
	_, err := w.ExecContext(ctx, `insert into ledger (device, reason, count, time, topic, detail, sample)
		values ('d', 'r', 1, 0, '', '', $1) on conflict (device, reason) do update set count = ledger.count + 1`, []byte{})
	return err
}

// attempt is what the commit loop does with one batch.
func attempt(s store.Store, x store.Sample) (trefoil.Seq, error) {
	ctx := context.Background()
	tx, err := s.Begin(ctx)
	if err != nil {
		return 0, err
	}
	m := &trefoil.Message{Device: "d", Readings: []trefoil.Reading{{Metric: "m", Time: x.Time, Value: x.Value}}}
	err = tx.Savepoint(ctx, func(w store.Writer) error { return count(ctx, w) })
	if err = errors.Join(err, tx.Append(m)); err != nil {
		return 0, errors.Join(err, tx.Rollback())
	}
	return tx.Commit(ctx)
}

func counted(t *testing.T, s store.Store) (n int) {
	t.Helper()
	if err := s.Rows().QueryRowContext(context.Background(), "select coalesce(sum(count), 0) from ledger").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestALostCommitIsFoundOutAndNeverAppliedTwice(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		for _, away := range []bool{false, true} {
			t.Run(fmt.Sprintf("cut %s it happened, database away %v", when, away), func(t *testing.T) {
				w, url := behindWall(t, cluster.Database(t))
				s := open(t, url, store.Options{})
				if _, err := attempt(s, store.Sample{Time: 1, Value: trefoil.NumberValue(1)}); err != nil {
					t.Fatal(err)
				}
				w.arm(when, away)
				lost := store.Sample{Time: 2, Value: trefoil.NumberValue(2)}
				if _, err := attempt(s, lost); !errors.Is(err, store.ErrInDoubt) {
					t.Fatalf("a commit cut off: got %v, want in doubt", err)
				}
				if away {
					if _, err := attempt(s, lost); !errors.Is(err, store.ErrInDoubt) {
						t.Errorf("while the database is away: got %v, want still in doubt", err)
					}
				}
				w.arm("", false)
				wantOutcome(t, s, when, lost)
			})
		}
	}
}

// wantOutcome tries the lost batch again until it is settled.
func wantOutcome(t *testing.T, s *postgres.Store, when string, lost store.Sample) {
	t.Helper()
	seq, err := attempt(s, lost)
	for errors.Is(err, store.ErrInDoubt) { // the database may still be ending the old connection
		seq, err = attempt(s, lost)
	}
	var landed *store.LandedError
	if got, want := errors.As(err, &landed), when == "after"; got != want {
		t.Fatalf("the next try: got %v, want it landed %v", err, want)
	}
	if landed != nil {
		seq = landed.Seq
	} else if err != nil {
		t.Fatal(err)
	}
	if got := s.Seq(); got != seq || seq != 2 {
		t.Errorf("seq: got %d and %d of the store, want 2 of both", seq, got)
	}
	if got := counted(t, s); got != 2 {
		t.Errorf("rows: counted %d, want 2", got)
	}
	if _, err := attempt(s, store.Sample{Time: 3, Value: trefoil.NumberValue(3)}); err != nil {
		t.Errorf("the batch after it: %v", err)
	}
	latest, err := s.Latest(context.Background(), "d")
	if err != nil || len(latest) != 1 || latest[0].Time != 3 || counted(t, s) != 3 {
		t.Errorf("after the next batch: got %v, %v and %d counted, want the third", latest, err, counted(t, s))
	}
}
