package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/trefoil-iot/trefoil"
)

// ContinueAfter lets the numbers of commits go on above seq. The database must
// hold no readings; upkeep must not be under way.
func (s *Store) ContinueAfter(ctx context.Context, seq trefoil.Seq) error {
	if s.Seq() >= seq {
		return nil
	}
	for _, x := range s.all {
		if x.stored > 0 || x.head.Len() > 0 {
			return errors.New("the numbers of commits can be raised only while there are no readings")
		}
	}
	err := s.inTransaction(ctx, func(w *writer) error {
		if err := w.exec(ctx, "delete from log"); err != nil {
			return err
		}
		return w.exec(ctx, "update log_cut set seq = $1", int64(seq))
	})
	if err != nil {
		return fmt.Errorf("raise the number of commits to %d: %w", seq, err)
	}
	s.seq.Store(uint64(seq))
	s.upkeep.low = int64(seq)
	return nil
}
