package postgres_test

import (
	"testing"

	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/postgres"
	"github.com/trefoil-iot/trefoil/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Database { return database{cluster.Database(t)} })
}

// database is one database of the cluster; a crash cuts the connections of a
// store, as the death of its process does.
type database struct{ url string }

func (d database) Open(t *testing.T, options store.Options) store.Store {
	t.Helper()
	return open(t, d.url, options)
}

func (d database) Crash(t *testing.T, s store.Store) {
	t.Helper()
	s.(*postgres.Store).Cut()
}
