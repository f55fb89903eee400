package sqlite

import (
	"context"
	"errors"
	"os"

	"github.com/trefoil-iot/trefoil/internal/store"
)

// Stats tells about size and state.
func (s *Store) Stats(ctx context.Context) (store.Stats, error) {
	if err := ctx.Err(); err != nil {
		return store.Stats{}, err
	}
	out := store.Stats{Engine: "sqlite", HeadBytes: s.headBytes.Load()}
	for _, name := range []string{s.path, s.path + "-wal", s.path + "-shm"} {
		info, err := os.Stat(name)
		switch {
		case err == nil:
			out.Bytes += info.Size()
		case !errors.Is(err, os.ErrNotExist):
			return store.Stats{}, err
		}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	out.Series = int64(len(s.all))
	out.Readings = -s.summed.Load()
	for _, x := range s.all {
		out.Readings += x.stored + int64(x.head.Len())
	}
	return out, nil
}
