package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// checkTime bounds the check at a start after a crash. A database of a
// gigabyte takes about two seconds; of a larger one SQLite sees a part.
const checkTime = 3 * time.Second

// check looks at the database when it was not closed by the one who opened it
// before, and notes that it is open.
func (s *Store) check(ctx context.Context) error {
	clean := true
	err := s.writerDB.QueryRowContext(ctx, "select clean from clean_stop").Scan(&clean)
	if err == nil && clean {
		_, err = s.writerDB.ExecContext(ctx, "update clean_stop set clean = false")
	}
	if err != nil {
		return fmt.Errorf("note that the database is open: %w", err)
	}
	if clean {
		return nil
	}
	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	err = quickCheck(bounded, s.readers)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		s.logger.Warn("the last stop was not clean; the check of the database was ended for its time, and found no fault until then", "took", time.Since(began).Round(time.Millisecond))
		return nil
	case err != nil:
		return err
	}
	chunks, err := sampleChunks(bounded, s.readers)
	if err != nil && bounded.Err() == nil {
		s.logger.Error("a chunk is damaged; reads over it fail, and everything else works; restore a backup to get its readings back", "error", err)
		return ctx.Err()
	}
	s.logger.Info("the last stop was not clean; the database was checked and is whole", "chunks_decoded", chunks, "took", time.Since(began).Round(time.Millisecond))
	return ctx.Err()
}

// closedCleanly notes that nothing is left to do at the next start.
func (s *Store) closedCleanly() error {
	if !s.opened {
		return nil
	}
	_, err := s.writerDB.ExecContext(context.Background(), "update clean_stop set clean = true")
	return err
}
