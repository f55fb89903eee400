package app

import (
	"context"
	"fmt"
	"os"

	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/postgres"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
	"github.com/trefoil-iot/trefoil/internal/transfer"
)

func (a *App) openStore(ctx context.Context) (err error) {
	if a.store, err = a.openEngine(ctx, a.retentionOptions(store.Options{MaxMetrics: a.config.Limits.Metrics})); err != nil {
		return err
	}
	a.life.onStop("store", func(context.Context) error { return a.store.Close() })
	return transfer.Unfinished(ctx, a.store.Rows())
}

// openEngine opens the engine that the configuration names; what is not
// SQLite has been checked to be a URL of PostgreSQL.
func (a *App) openEngine(ctx context.Context, o store.Options) (store.Store, error) {
	if a.config.Store.URL == "sqlite" {
		return engine(sqlite.Open(ctx, a.config.Data, o, a.log))
	}
	// The server's own files, such as its addresses, stay in the directory.
	if err := os.MkdirAll(a.config.Data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	return engine(postgres.Open(ctx, a.config.Store.URL, o, a.log))
}

// engine gives s as a store, and nil rather than a store that is nil.
func engine[S store.Store](s S, err error) (store.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
