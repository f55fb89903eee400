package auth

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Login is an attempt to log in.
type Login struct {
	Name     string
	Password string
	From     string // address of the client, with or without port
	Agent    string // what the client says it is
}

// TooManyLogins is the cause of the error that refuses a login because there
// were too many attempts.
type TooManyLogins struct {
	Wait time.Duration // until the next attempt may be made
}

func (e *TooManyLogins) Error() string {
	return fmt.Sprintf("next attempt in %s", e.Wait.Round(time.Second))
}

// maxPassword bounds the work that one attempt causes.
const maxPassword = 1024

// Login checks name and password and opens a session. Wrong ones are an error
// with code unauthorized that does not say which of them is wrong; too many
// attempts one with code too_many whose cause is a [TooManyLogins].
func (a *Accounts) Login(ctx context.Context, l Login) (Session, error) {
	now := a.now()
	wait, addressBack := a.byFrom.take(networkOf(l.From), now)
	if wait > 0 {
		return Session{}, tooMany("this address", wait)
	}
	wait, nameBack := a.byName.take(l.Name, now)
	if wait > 0 {
		addressBack()
		return Session{}, tooMany("this account", wait)
	}
	acc, known := a.account(l.Name)
	phc := acc.password
	if !known { // the same work, so that the duration tells nothing
		phc = a.decoy
	}
	ok, err := a.verify(ctx, phc, l.Password[:min(len(l.Password), maxPassword+1)])
	if err != nil {
		return Session{}, fmt.Errorf("check password: %w", err)
	}
	if !ok || !known || len(l.Password) > maxPassword {
		a.log.Warn("login refused", slog.String("account", l.Name[:min(len(l.Name), 64)]), slog.String("from", l.From))
		return Session{}, trefoil.Errorf(trefoil.CodeUnauthorized, "user name or password is wrong")
	}
	addressBack()
	nameBack()
	return a.open(ctx, acc, l.Agent)
}

func tooMany(what string, wait time.Duration) error {
	cause := &TooManyLogins{Wait: wait}
	return &trefoil.Error{
		Code:    trefoil.CodeTooMany,
		Message: fmt.Sprintf("too many failed logins for %s; try again in %d s", what, int(wait.Seconds())+1),
		Cause:   cause,
	}
}

// networkOf gives the part of an address that stands for one client: all of
// an IPv4 address, the first 64 bits of an IPv6 one.
func networkOf(from string) string {
	host := from
	if ap, err := netip.ParseAddrPort(from); err == nil {
		host = ap.Addr().String()
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return from[:min(len(from), 64)]
	}
	addr = addr.Unmap()
	if addr.Is4() {
		return addr.String()
	}
	p, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr.String()
	}
	return p.String()
}

// AdminName is the name of the first administrator.
const AdminName = "admin"

// EnsureAdmin creates the account "admin" if there is no administrator yet,
// with the given password, or with a random one if it is empty, which is then
// returned to be shown once. Where there is an administrator, nothing changes
// and created is false.
func (a *Accounts) EnsureAdmin(ctx context.Context, password string) (generated string, created bool, err error) {
	a.changes.Lock()
	defer a.changes.Unlock()
	if a.hasAdmin() {
		return "", false, nil
	}
	if len(password) > maxPassword {
		return "", false, trefoil.Errorf(trefoil.CodeInvalid, "password of the administrator has %d bytes; at most %d are allowed", len(password), maxPassword)
	}
	if password == "" {
		generated = strings.ToLower(rand.Text()[:20]) // 100 bits
		password = generated
	} else if len(password) < 8 {
		a.log.Warn("the administrator's password is short; 8 characters or more are better")
	}
	phc, err := hashPassword(password)
	if err != nil {
		return "", false, err
	}
	acc := account{name: AdminName, password: phc, role: Administrator, created: a.instant()}
	err = a.do(ctx, "create administrator", func(ctx context.Context, w store.Writer) error {
		return upsertAccount(ctx, w, acc)
	})
	if err != nil {
		return "", false, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.accounts[acc.name] = acc
	return generated, true, nil
}

func (a *Accounts) hasAdmin() bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for _, acc := range a.accounts {
		if acc.role == Administrator {
			return true
		}
	}
	return false
}
