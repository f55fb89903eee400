package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/postgres"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// Place is where a store is: a data directory with a SQLite file, or a
// PostgreSQL database.
type Place struct {
	dir string // absolute; "" for PostgreSQL
	url string
}

// ParsePlace reads a place: a data directory, the file trefoil.db in one,
// either with sqlite: in front, or postgres://user:password@host/database. Its
// errors do not hold a password.
func ParsePlace(s string) (Place, error) {
	if u, err := url.Parse(s); err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") {
		return Place{url: s}, nil
	}
	path, prefixed := strings.CutPrefix(s, "sqlite:")
	path = strings.TrimPrefix(path, "//")
	if path == "" || !prefixed && strings.Contains(path, "://") {
		return Place{}, errors.New("is no place of a database; allowed: a data directory, or postgres://user:password@host/database")
	}
	if filepath.Base(path) == sqlite.FileName {
		path = filepath.Dir(path)
	}
	dir, err := filepath.Abs(path)
	return Place{dir: dir}, err
}

// String gives the place without its password.
func (p Place) String() string {
	if p.dir != "" {
		return p.dir
	}
	u, err := url.Parse(p.url)
	if err != nil {
		return "postgres://…"
	}
	if q := u.Query(); q.Has("password") {
		q.Set("password", "xxxxx") // as Redacted writes it
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

// Dir is the data directory of a SQLite file, "" for PostgreSQL.
func (p Place) Dir() string { return p.dir }

// Open opens the store, which must not be in use. A source must be there; a
// target's tables are made.
func (p Place) Open(ctx context.Context, source bool, log *slog.Logger) (Target, error) {
	// What was once accepted is moved, whatever the limits are now.
	options := store.Options{MaxMetrics: math.MaxInt32}
	if p.dir == "" {
		return opened(postgres.Open(ctx, p.url, options, log))
	}
	if source {
		file := filepath.Join(p.dir, sqlite.FileName)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no database in %s; name the data directory of the server", p.dir)
		}
	}
	return opened(sqlite.Open(ctx, p.dir, options, log))
}

// opened gives s as a target, and nil rather than a target that is nil.
func opened[S Target](s S, err error) (Target, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
