package postgres

import (
	"context"
	"fmt"

	"github.com/trefoil-iot/trefoil"
)

// ContinueAfter lets the numbers of commits go on above seq.
func (s *Store) ContinueAfter(ctx context.Context, seq trefoil.Seq) error {
	if s.Seq() >= seq {
		return nil
	}
	err := s.transact(ctx, func(ctx context.Context, t *tx) error {
		_, err := t.ExecContext(ctx, "update commit_state set seq = greatest(seq, $1)", int64(seq))
		return err
	})
	if err != nil {
		return fmt.Errorf("raise the number of commits to %d: %w", seq, err)
	}
	s.seq.Store(uint64(seq))
	return nil
}
