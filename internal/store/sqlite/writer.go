package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// writer is the one connection that writes, with its prepared statements.
//
// Statements run without the caller's cancellation: with it, every statement
// would cost a goroutine, and SQLite undoes the whole transaction when it is
// interrupted inside of it. Cancellation is looked at between statements.
type writer struct {
	conn  *sql.Conn
	stmts []*sql.Stmt

	insertLog    *sql.Stmt
	insertSeries *sql.Stmt
	updateSeries *sql.Stmt

	parts map[string]*partWriter // by name, as far as they were needed
	made  []part                 // by the open transaction
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	ctx = context.WithoutCancel(ctx)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect for writing: %w", err)
	}
	w := &writer{conn: conn, parts: map[string]*partWriter{}}
	for _, p := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&w.insertLog, "insert into log (seq, data) values ($1, $2)"},
		{&w.insertSeries, "insert into series (id, device, metric, latest, stored) values ($1, $2, $3, x'', 0)"},
		{&w.updateSeries, "update series set latest = $2, stored = $3 where id = $1"},
	} {
		stmt, err := conn.PrepareContext(ctx, p.text)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("prepare %q: %w", p.text, err), w.close())
		}
		*p.stmt = stmt
		w.stmts = append(w.stmts, stmt)
	}
	return w, nil
}

func (w *writer) close() error {
	var errs []error
	for _, stmt := range w.stmts {
		errs = append(errs, stmt.Close())
	}
	for _, pw := range w.parts {
		errs = append(errs, pw.close())
	}
	return errors.Join(append(errs, w.conn.Close())...)
}

func (w *writer) exec(ctx context.Context, query string, args ...any) error {
	_, err := w.conn.ExecContext(context.WithoutCancel(ctx), query, args...)
	return err
}

// begin opens the transaction of the writer's connection, which it makes anew
// if the last one failed.
func (s *Store) begin(ctx context.Context) (*writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.writer == nil {
		w, err := newWriter(ctx, s.writerDB)
		if err != nil {
			return nil, err
		}
		s.writer = w
	}
	if err := s.writer.exec(ctx, "begin immediate"); err != nil {
		s.discardWriter()
		return nil, fmt.Errorf("begin a transaction: %w", err)
	}
	return s.writer, nil
}

// rollback ends the transaction without effect. SQLite may have done it
// already after a fault such as a full disk; a connection that is not back in
// its resting state is given up.
func (s *Store) rollback(w *writer) error {
	ctx := context.Background()
	err := errors.Join(w.exec(ctx, "rollback"), w.undone())
	if err == nil {
		return nil
	}
	if probe := w.exec(ctx, "begin"); probe == nil {
		if err = w.exec(ctx, "rollback"); err == nil {
			return nil
		}
	}
	s.discardWriter()
	return fmt.Errorf("roll back: %w", err)
}

func (s *Store) discardWriter() {
	if err := s.writer.close(); err != nil {
		s.logger.Warn("could not close the connection that failed", "error", err)
	}
	s.writer = nil
}
