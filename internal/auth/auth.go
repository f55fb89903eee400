// Package auth knows the people: their accounts, their login sessions, and
// what their roles allow. It also has the word for whoever makes a request,
// the [Principal].
//
// Accounts and sessions are few, so that all of them are mirrored in memory;
// the mirror changes after the commit that holds the change.
package auth

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Writer runs changes of rows inside the next commit.
type Writer interface {
	// Do runs fn inside the next commit and returns after that is durable. An
	// error means that nothing of fn is stored. When ctx ends, Do takes fn
	// back, unless its commit is on its way. fn may run several times.
	Do(ctx context.Context, fn func(ctx context.Context, w store.Writer) error) error
}

// Options are what [Accounts] need.
type Options struct {
	Rows   store.Querier // reads what is committed
	Writer Writer
	Now    func() time.Time
	Log    *slog.Logger
}

// Accounts are the people who may log in, and their sessions. They may be
// used by many goroutines at once.
type Accounts struct {
	rows   store.Querier
	writer Writer
	now    func() time.Time
	log    *slog.Logger

	hashing chan struct{} // a slot per password that is being hashed
	decoy   string        // what the password of an unknown account is compared with
	byFrom  *limiter
	byName  *limiter
	tickets *tickets

	changes sync.Mutex // serialises changes of accounts

	mu       sync.RWMutex // guards what follows
	accounts map[string]account
	sessions map[tokenHash]*session
}

// account is a row of the table.
type account struct {
	name     string
	password string // PHC string
	role     Role
	created  trefoil.Instant
}

// maxHashing bounds how many passwords are hashed at once. Each takes 19 MiB;
// a flood of logins must not take the memory of the ingest.
const maxHashing = 2

// Open loads accounts and sessions.
func Open(ctx context.Context, o Options) (*Accounts, error) {
	a := &Accounts{
		rows: o.Rows, writer: o.Writer, now: o.Now, log: o.Log,
		hashing: make(chan struct{}, maxHashing),
		decoy:   decoyHash(),
		byFrom:  newLimiter(loginEvery, loginBurst),
		byName:  newLimiter(loginEvery, loginBurst),
		tickets: newTickets(),
	}
	var err error
	if a.accounts, err = selectAccounts(ctx, a.rows); err != nil {
		return nil, fmt.Errorf("load accounts: %w", err)
	}
	if a.sessions, err = selectSessions(ctx, a.rows, a.instant()); err != nil {
		return nil, fmt.Errorf("load sessions: %w", err)
	}
	return a, nil
}

func (a *Accounts) instant() trefoil.Instant { return trefoil.InstantOf(a.now()) }

func (a *Accounts) account(name string) (account, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	acc, ok := a.accounts[name]
	return acc, ok
}

// do writes. Its error means that the mirror must stay as it is.
func (a *Accounts) do(ctx context.Context, what string, fn func(context.Context, store.Writer) error) error {
	if err := a.writer.Do(ctx, fn); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
