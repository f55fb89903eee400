package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/trefoil-iot/trefoil/internal/store"
)

// Savepoint runs fn so that an error of it undoes what it wrote.
func (t *tx) Savepoint(ctx context.Context, fn func(store.Writer) error) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := t.w.exec(ctx, "savepoint change"); err != nil {
		return t.fail(fmt.Errorf("set a savepoint: %w", err))
	}
	before := t.change.clone()
	if err := fn(t); err != nil {
		t.change = before
		if undo := t.w.exec(ctx, "rollback to change; release change"); undo != nil {
			return errors.Join(err, t.fail(fmt.Errorf("return to a savepoint: %w", undo)))
		}
		return err
	}
	if err := t.w.exec(ctx, "release change"); err != nil {
		return t.fail(fmt.Errorf("release a savepoint: %w", err))
	}
	return nil
}

// ExecContext changes rows inside the transaction.
func (t *tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := errors.Join(t.usable(), ctx.Err()); err != nil {
		return nil, err
	}
	result, err := t.w.conn.ExecContext(context.WithoutCancel(ctx), query, args...)
	if err != nil && t.lost() {
		return nil, t.fail(fmt.Errorf("%w: %w", errLost, err))
	}
	return result, err
}

// QueryContext reads rows as the transaction sees them.
func (t *tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := errors.Join(t.usable(), ctx.Err()); err != nil {
		return nil, err
	}
	t.doubt = true
	return t.w.conn.QueryContext(context.WithoutCancel(ctx), query, args...)
}

// QueryRowContext reads one row as the transaction sees it.
func (t *tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	t.doubt = true
	return t.w.conn.QueryRowContext(context.WithoutCancel(ctx), query, args...)
}

var errLost = errors.New("the database has undone the transaction")

// lost reports whether SQLite has ended the transaction by itself, as it may
// after a full disk or an I/O error. What is written then would be stored
// alone, so it must be asked after every fault that may have done that.
func (t *tx) lost() bool {
	ctx := context.Background()
	if t.w.exec(ctx, "begin") != nil {
		return false // "cannot start a transaction within a transaction"
	}
	_ = t.w.exec(ctx, "rollback") // of nothing; Rollback puts right what fails here
	return true
}
