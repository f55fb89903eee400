package journal

import (
	"context"
	"log/slog"
	"testing"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/postgres"
	"github.com/trefoil-iot/trefoil/test/pgtest"
)

func TestTheStatementsAreThoseOfPostgreSQLToo(t *testing.T) {
	cluster, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	st, err := postgres.Open(t.Context(), cluster.URL("postgres"), store.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	b := newBenchOn(t, st)
	for i := range trefoil.Instant(70) {
		b.Add("a", Event{Kind: Connected, Time: i + 1, Client: "c\x00", Address: "10.0.0.7:1"})
		if i == 40 {
			b.store()
			b.reopen()
		}
	}
	for i := range trefoil.Instant(2) {
		b.Add("a", Event{Kind: Refused, Time: 100 + i, Detail: "wrong"})
		b.store()
	}
	got := b.of("a")
	if len(got) != Bound || got[0].Time != 101 || got[0].First != 100 || got[0].Count != 2 || got[1].Time != 70 {
		t.Errorf("events: got %d, the first two %+v, want %d that begin with two refusals in one", len(got), got[:min(2, len(got))], Bound)
	}
	b.Add("a", Event{Kind: Connected, Time: 200})
	b.do(func(ctx context.Context, w store.Writer) error {
		_, err := w.ExecContext(ctx, "delete from device where id = 'a'")
		return err
	})
	b.store()
	if got := b.times("a"); len(got) != 0 {
		t.Errorf("events of a deleted device: got %v, want none", got)
	}
}
