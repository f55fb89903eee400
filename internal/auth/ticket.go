package auth

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// tickets are login links that work once. They live in memory: whoever starts
// the process prints one, and a restart makes them worthless.
type tickets struct {
	mu   sync.Mutex
	open map[string]ticket
}

type ticket struct {
	account string
	expires time.Time
}

// maxTickets bounds the tickets that are open at a time.
const maxTickets = 100

func newTickets() *tickets { return &tickets{open: make(map[string]ticket)} }

// NewTicket makes a ticket that logs in as the account once, within life.
func (a *Accounts) NewTicket(name string, life time.Duration) (string, error) {
	if _, ok := a.account(name); !ok {
		return "", trefoil.Errorf(trefoil.CodeNotFound, "no account %q", name)
	}
	now := a.now()
	t := a.tickets
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, v := range t.open {
		if !now.Before(v.expires) {
			delete(t.open, k)
		}
	}
	if len(t.open) >= maxTickets {
		return "", trefoil.Errorf(trefoil.CodeTooMany, "%d login tickets are open, the largest number", maxTickets)
	}
	secret := rand.Text()
	t.open[secret] = ticket{account: name, expires: now.Add(life)}
	return secret, nil
}

// Redeem opens a session for a ticket, which is used up by that. A ticket
// that is unknown, used or expired is an error with code unauthorized.
func (a *Accounts) Redeem(ctx context.Context, secret, agent string) (Session, error) {
	a.tickets.mu.Lock()
	t, ok := a.tickets.open[secret]
	delete(a.tickets.open, secret)
	a.tickets.mu.Unlock()
	acc, known := a.account(t.account)
	if !ok || !known || !a.now().Before(t.expires) {
		return Session{}, trefoil.Errorf(trefoil.CodeUnauthorized, "this login link was used already or has expired")
	}
	return a.open(ctx, acc, agent)
}
