package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/postgres"
	"github.com/trefoil-iot/trefoil/test/pgtest"
)

// cluster is the PostgreSQL of these tests, set once by TestMain.
var cluster *pgtest.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if cluster, err = pgtest.New(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// open opens a store and closes it when the test ends.
func open(t testing.TB, url string, options store.Options) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(context.Background(), url, options, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// commit stores messages in one transaction.
func commit(t testing.TB, s store.Store, messages ...*trefoil.Message) trefoil.Seq {
	t.Helper()
	tx, err := s.Begin(context.Background())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	for _, m := range messages {
		if err := tx.Append(m); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	seq, err := tx.Commit(context.Background())
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return seq
}
