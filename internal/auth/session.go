package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// TokenPrefix begins every session token.
const TokenPrefix = "tfs_"

// SessionLife is how long a session lasts after its last use.
const SessionLife = 30 * 24 * time.Hour

const (
	// touchAfter is how much of a session's life may pass before its use is
	// stored again.
	touchAfter = time.Hour
	// maxSessions bounds the sessions of one account; a login beyond it ends
	// the session that was not used for the longest time.
	maxSessions = 100
	maxAgent    = 200
)

// tokenHash is the SHA-256 of a session token, which has 256 random bits.
type tokenHash [sha256.Size]byte

// session is a row of login_session.
type session struct {
	hash     tokenHash
	account  string
	created  trefoil.Instant
	expires  trefoil.Instant
	lastUsed trefoil.Instant
	agent    string
	touched  bool // expires and lastUsed are not stored yet
}

// Session is an open session as its owner gets it. Token can never be read
// again.
type Session struct {
	Token   string
	User    Principal
	Expires time.Time
}

// Session gives the user whose session token this is, and an error with code
// unauthorized if there is no such session or it has expired. Using a session
// prolongs it.
func (a *Accounts) Session(ctx context.Context, token string) (Principal, error) {
	if !strings.HasPrefix(token, TokenPrefix) {
		return Principal{}, errNoSession()
	}
	hash := tokenHash(sha256.Sum256([]byte(token)))
	now := a.instant()
	a.mu.RLock()
	s := a.sessions[hash]
	if s == nil || now >= s.expires {
		a.mu.RUnlock()
		return Principal{}, errNoSession()
	}
	acc := a.accounts[s.account]
	old := now.Sub(s.lastUsed) > touchAfter
	a.mu.RUnlock()
	if old {
		a.touch(hash, now)
	}
	return Principal{Kind: User, Name: acc.name, Role: acc.role}, nil
}

func errNoSession() error {
	return trefoil.Errorf(trefoil.CodeUnauthorized, "not logged in, or the session has ended; log in again")
}

// touch prolongs a session in memory; [Accounts.Run] stores it. A request
// must not wait for a commit only because it was made.
func (a *Accounts) touch(hash tokenHash, now trefoil.Instant) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.sessions[hash]; s != nil {
		s.lastUsed, s.expires, s.touched = now, now.Add(SessionLife), true
	}
}

// Logout ends a session. A session that does not exist is no error.
func (a *Accounts) Logout(ctx context.Context, token string) error {
	hash := tokenHash(sha256.Sum256([]byte(token)))
	a.mu.RLock()
	_, ok := a.sessions[hash]
	a.mu.RUnlock()
	if !ok {
		return nil
	}
	err := a.do(ctx, "log out", func(ctx context.Context, w store.Writer) error {
		return deleteSession(ctx, w, hash)
	})
	if err != nil {
		return err
	}
	a.forget([]tokenHash{hash})
	return nil
}

func (a *Accounts) forget(hashes []tokenHash) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range hashes {
		delete(a.sessions, h)
	}
}

// open makes a session for the account.
func (a *Accounts) open(ctx context.Context, acc account, agent string) (Session, error) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the program instead
	token := TokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	now := a.instant()
	s := &session{
		hash:    sha256.Sum256([]byte(token)),
		account: acc.name, created: now, lastUsed: now, expires: now.Add(SessionLife),
		agent: strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], ""),
	}
	surplus := a.surplus(acc.name)
	err := a.do(ctx, "open session", func(ctx context.Context, w store.Writer) error {
		for _, h := range surplus {
			if err := deleteSession(ctx, w, h); err != nil {
				return err
			}
		}
		return insertSession(ctx, w, s)
	})
	if err != nil {
		return Session{}, err
	}
	a.forget(surplus)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions[s.hash] = s
	return Session{Token: token, User: Principal{Kind: User, Name: acc.name, Role: acc.role}, Expires: s.expires.Time()}, nil
}

// surplus gives the session that must end so that the account may have
// another one.
func (a *Accounts) surplus(name string) []tokenHash {
	a.mu.RLock()
	defer a.mu.RUnlock()
	n, oldest := 0, (*session)(nil)
	for _, s := range a.sessions {
		if s.account != name {
			continue
		}
		if n++; oldest == nil || s.lastUsed < oldest.lastUsed {
			oldest = s
		}
	}
	if n < maxSessions {
		return nil
	}
	return []tokenHash{oldest.hash}
}

// storeEvery is how often [Accounts.Run] looks for sessions to store.
const storeEvery = 10 * time.Minute

// Run stores the use of sessions and removes expired ones, until ctx ends.
func (a *Accounts) Run(ctx context.Context) error {
	t := time.NewTicker(storeEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := a.tidy(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn("use of sessions is not stored yet, trying again", slog.Any("error", err))
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (a *Accounts) tidy(ctx context.Context) error {
	now := a.instant()
	touched, expired := a.due(now)
	if len(touched)+len(expired) == 0 {
		return nil
	}
	err := a.do(ctx, "store sessions", func(ctx context.Context, w store.Writer) error {
		for _, s := range touched {
			if err := updateSession(ctx, w, s); err != nil {
				return err
			}
		}
		return deleteExpired(ctx, w, now)
	})
	if err != nil {
		return err
	}
	a.forget(expired)
	a.stored(touched)
	return nil
}

// due gives copies of what changed, and what has expired.
func (a *Accounts) due(now trefoil.Instant) (touched []session, expired []tokenHash) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	for h, s := range a.sessions {
		switch {
		case now >= s.expires:
			expired = append(expired, h)
		case s.touched:
			touched = append(touched, *s)
		}
	}
	return touched, expired
}

func (a *Accounts) stored(touched []session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, t := range touched {
		if s := a.sessions[t.hash]; s != nil && s.lastUsed == t.lastUsed {
			s.touched = false
		}
	}
}
