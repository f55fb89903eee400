package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// patience is the longest time that a transaction may take. After it the
// connection counts as lost: a network that swallows packets would keep the
// commit loop waiting for a quarter of an hour otherwise.
const patience = time.Minute

// writer is the one connection that writes, with its prepared statements.
//
// Statements run without the caller's cancellation: it would close the
// connection in the middle of one and leave its outcome open. Cancellation is
// looked at between statements.
type writer struct {
	conn     *sql.Conn
	prepared bool
}

// connect makes the writer's connection.
func (s *Store) connect(ctx context.Context) error {
	conn, err := s.writerDB.Conn(ctx)
	if err != nil {
		return err
	}
	s.writer = &writer{conn: conn}
	if err := s.lock(ctx); err != nil {
		s.discard()
		return err
	}
	return nil
}

var errTaken = errors.New("another Trefoil uses this database; stop it, or give this one a database of its own")

// lock keeps other processes from writing as long as the connection lives:
// what they would know about devices and sessions would differ from what this
// one knows. A connection of this process that was lost is ended by force.
func (s *Store) lock(ctx context.Context) error {
	var free bool
	err := s.writer.conn.QueryRowContext(ctx, "select pg_try_advisory_lock($1)", lockServer).Scan(&free)
	if err != nil || free {
		return err
	}
	if _, err := s.endLost(ctx); err != nil {
		return err
	}
	return errTaken
}

// connectFirst connects and gives a process that was just killed a moment to
// disappear from the database.
func (s *Store) connectFirst(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * time.Second); ; {
		err := s.connect(ctx)
		if !errors.Is(err, errTaken) || time.Now().After(end) {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// endLost ends other connections of this process that write, and gives the
// number of those that were there.
func (s *Store) endLost(ctx context.Context) (n int, err error) {
	err = s.writer.conn.QueryRowContext(ctx, `select count(pg_terminate_backend(pid)) from pg_stat_activity
		where application_name = $1 and usename = current_user and pid <> pg_backend_pid()`, s.name).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("end a connection that was lost: %w", err)
	}
	return n, nil
}

// prepare makes the statements of the hot path, once per connection.
func (w *writer) prepare(ctx context.Context) error {
	if w.prepared {
		return nil
	}
	w.prepared = true
	return w.native(func(pg *pgconn.PgConn) error {
		for name, text := range statements() {
			if _, err := pg.Prepare(ctx, name, text, nil); err != nil {
				return fmt.Errorf("prepare %s: %w", name, err)
			}
		}
		return nil
	})
}

// native gives fn the connection without database/sql around it.
func (w *writer) native(fn func(*pgconn.PgConn) error) error {
	return w.conn.Raw(func(c any) error { return fn(c.(*stdlib.Conn).Conn().PgConn()) })
}

// exec runs statements without parameters, one after the other, in one round
// trip, and gives what the last one says that it did.
func (w *writer) exec(ctx context.Context, query string) (tag string, err error) {
	err = w.native(func(pg *pgconn.PgConn) error {
		results, err := pg.Exec(context.WithoutCancel(ctx), query).ReadAll()
		if n := len(results); err == nil && n > 0 {
			tag = results[n-1].CommandTag.String()
		}
		return err
	})
	return tag, err
}

// bound lets everything on the connection fail that takes longer than d from
// now; 0 ends that.
func (w *writer) bound(d time.Duration) error {
	return w.native(func(pg *pgconn.PgConn) error {
		if d == 0 {
			return pg.Conn().SetDeadline(time.Time{})
		}
		return pg.Conn().SetDeadline(time.Now().Add(d))
	})
}

// begin opens a transaction on the writer's connection. A connection that was
// lost while it was idle is replaced.
func (s *Store) begin(ctx context.Context) (*writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.writer != nil {
		if err := s.start(ctx); err == nil {
			return s.writer, nil
		}
		s.discard()
	}
	if err := s.connect(ctx); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := s.start(ctx); err != nil {
		s.discard()
		return nil, err
	}
	return s.writer, nil
}

func (s *Store) start(ctx context.Context) error {
	if err := s.writer.bound(patience); err != nil {
		return err
	}
	if s.stale {
		if err := s.refresh(ctx); err != nil {
			return err
		}
	}
	_, err := s.writer.exec(ctx, "begin")
	return err
}

// refresh reads what the commit loop knows about the database, and prepares
// the statements if the connection does not have them.
func (s *Store) refresh(ctx context.Context) error {
	if err := s.writer.prepare(ctx); err != nil {
		return err
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	s.stale = false
	return nil
}

// rollback ends the transaction without effect. Where that fails, the
// connection is given up, and the database ends the transaction with it.
func (s *Store) rollback(w *writer) {
	if _, err := w.exec(context.Background(), "rollback"); err != nil || w.bound(0) != nil {
		s.discard()
	}
}

// discard gives the connection up, without a word to a server that may not
// listen. Those of the readers are likely lost for the same reason.
func (s *Store) discard() {
	if s.writer == nil {
		return
	}
	_ = s.writer.conn.Raw(func(c any) error {
		_ = c.(*stdlib.Conn).Conn().PgConn().Conn().Close() // its error says that it is closed
		return driver.ErrBadConn                            // lets database/sql forget it
	})
	s.writer, s.stale = nil, true
	s.readers.Reset()
}
