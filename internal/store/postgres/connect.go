package postgres

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// leastVersion is the oldest PostgreSQL that works: date_bin came with 14.
const leastVersion = 14

// connector makes connections to one database.
type connector struct{ pool *pgxpool.Config }

// parse reads the URL. Its errors do not hold the password.
func parse(url string) (connector, error) {
	pool, err := pgxpool.ParseConfig(url)
	if err != nil {
		return connector{}, fmt.Errorf("the store's URL cannot be read; write postgres://user:password@host:5432/database: %w", err)
	}
	c := pool.ConnConfig
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = 10 * time.Second
	}
	// A peer that has vanished is noticed after half a minute.
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	c.DialFunc = dialer.DialContext
	c.RuntimeParams["jit"] = "off" // costs more than it gains in short queries over many partitions
	return connector{pool}, nil
}

// readers gives the pool of those who read. Plans are made for the range that
// is asked for, as a plan for any range would look at all partitions.
func (c connector) readers(ctx context.Context) (*pgxpool.Pool, error) {
	config := c.pool.Copy()
	config.MaxConns = int32(4 + 2*runtime.GOMAXPROCS(0))
	config.ConnConfig.RuntimeParams["application_name"] = "trefoil"
	config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	config.ConnConfig.RuntimeParams["plan_cache_mode"] = "force_custom_plan"
	return pgxpool.NewWithConfig(ctx, config)
}

// writer gives the database of the one who writes, under a name that the
// database lists with the connection.
func (c connector) writer(name string) *sql.DB {
	config := c.pool.ConnConfig.Copy()
	config.RuntimeParams["application_name"] = name
	// All that is written is found by its key, also in tables that have grown
	// since their statements were planned.
	for _, way := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin"} {
		config.RuntimeParams[way] = "off"
	}
	config.RuntimeParams["idle_in_transaction_session_timeout"] = "120000" // twice patience
	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(waitForDisk))
	db.SetMaxOpenConns(1)
	return db
}

// waitForDisk makes a commit return when it is on the disk, whatever the
// database's setting. Stronger settings, which wait for other servers, stay.
func waitForDisk(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `select set_config('synchronous_commit', 'on', false)
		where current_setting('synchronous_commit') in ('off', 'local')`)
	return err
}

// newName gives a name that no other process has or had.
func newName() string { return "trefoil writer " + rand.Text() }

// checkServer refuses a server that cannot keep the promises.
func (s *Store) checkServer(ctx context.Context) error {
	var version int
	var name, encoding, fsync string
	err := s.writer.conn.QueryRowContext(ctx, `select current_setting('server_version_num')::integer,
		current_setting('server_version'), current_setting('server_encoding'), current_setting('fsync')`).
		Scan(&version, &name, &encoding, &fsync)
	switch {
	case err != nil:
		return fmt.Errorf("ask the server for its version: %w", err)
	case version/10_000 < leastVersion:
		return fmt.Errorf("the server is PostgreSQL %s; use version %d or later", name, leastVersion)
	case encoding != "UTF8":
		return fmt.Errorf("the database has the encoding %s; make one with: create database … encoding 'UTF8' template template0", encoding)
	case fsync != "on":
		s.logger.Warn("the database runs with fsync = off: a power cut can lose what was acknowledged; set fsync = on in postgresql.conf")
	}
	return nil
}

// explain puts the next step in front of errors that an operator can mend.
func (c connector) explain(err error) error {
	config := c.pool.ConnConfig
	var pg *pgconn.PgError
	var refused *pgconn.ConnectError
	step := ""
	switch {
	case errors.Is(err, errTaken):
		return err
	case errors.As(err, &pg):
		step = nextStep(pg.Code, config)
	case errors.As(err, &refused):
		step = fmt.Sprintf("PostgreSQL does not answer at %s port %d; check that it runs, and host and port in --store", config.Host, config.Port)
	}
	if step == "" {
		return fmt.Errorf("open database %s: %w", config.Database, err)
	}
	return fmt.Errorf("%s: %w", step, err)
}

// nextStep says what to do about an error with a code of PostgreSQL, see its
// manual, appendix A.
func nextStep(code string, c *pgx.ConnConfig) string {
	switch code {
	case "28P01", "28000": // invalid_password, invalid_authorization_specification
		return fmt.Sprintf("PostgreSQL refuses user %s; check user and password in --store, and pg_hba.conf of the server", c.User)
	case "3D000": // invalid_catalog_name
		return fmt.Sprintf("database %s does not exist; make it with: createdb --encoding UTF8 --owner %s %s", c.Database, c.User, c.Database)
	case "42501": // insufficient_privilege
		return fmt.Sprintf("user %s may not make tables; as administrator of database %s say: grant create, usage on schema public to %s", c.User, c.Database, c.User)
	case "53300": // too_many_connections
		return "PostgreSQL has no connection left; raise max_connections in postgresql.conf"
	case "57P03": // cannot_connect_now
		return "PostgreSQL is starting or stopping; try again in a moment"
	default:
		return ""
	}
}
