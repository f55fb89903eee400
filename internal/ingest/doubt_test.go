package ingest_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/internal/store"
)

func TestACommitInDoubtThatHappenedIsSettledAndNotAppliedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 0)
		applied := 0
		w := r.write("a", "m")
		w.Rows = func(context.Context, store.Writer) error { applied++; return nil }
		r.Accept(t.Context(), w)
		synctest.Wait() // it is in Commit now
		r.store.refuse = []error{fmt.Errorf("no connection: %w", store.ErrInDoubt), &store.LandedError{Seq: 7}}
		r.store.permit <- store.ErrInDoubt
		synctest.Wait()
		same(t, "acks while nobody knows", r.acked(), []string{})
		if r.Health() == nil {
			t.Error("Health() is nil while a commit is in doubt")
		}
		time.Sleep(time.Second) // of the bubble: both tries are over
		synctest.Wait()
		same(t, "acks when it is known", r.acked(), []string{"a"})
		same(t, "observed", r.seen.devices, []string{"a"})
		if err := r.Health(); applied != 1 || err != nil {
			t.Errorf("applied %d times, Health() = %v, want once and nil", applied, err)
		}
		r.finish(t)
	})
}

func TestNobodyIsToldThatACommitInDoubtIsNotStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 0)
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() {
			result <- r.Do(ctx, func(context.Context, store.Writer) error { return nil })
		}()
		synctest.Wait()
		r.store.refuse = []error{&store.LandedError{Seq: 7}}
		cancel()
		r.store.permit <- store.ErrInDoubt
		if err := <-result; err != nil {
			t.Errorf("a caller who left while it was in doubt: got %v, want nil as it happened", err)
		}
		r.finish(t)
	})
}
