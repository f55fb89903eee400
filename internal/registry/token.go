package registry

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// TokenPrefix begins every device token, so that people and scanners for
// leaked secrets recognise one.
const TokenPrefix = "tfd_"

// tokenHash is the SHA-256 of a token. A token has 256 random bits, so that a
// slow hash would add nothing but an outage when all devices reconnect.
type tokenHash [sha256.Size]byte

// tokenRow is a row of device_token.
type tokenRow struct {
	hash    tokenHash
	device  trefoil.DeviceID
	created trefoil.Instant
	expires trefoil.Instant // 0: never
}

func newToken(device trefoil.DeviceID, now trefoil.Instant) (string, tokenRow) {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails: crypto/rand ends the program instead
	token := TokenPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	return token, tokenRow{hash: sha256.Sum256([]byte(token)), device: device, created: now}
}

// NewToken gives the device a new token and revokes the ones before. Watchers
// get a [TokenRevoked] event, so that connections with an old token are cut.
func (r *Registry) NewToken(ctx context.Context, id trefoil.DeviceID) (string, error) {
	defer r.lock(id)()
	d, err := r.Find(id)
	if err != nil {
		return "", err
	}
	token, row := newToken(id, r.instant())
	err = r.do(ctx, "change token", func(ctx context.Context, w store.Writer) error {
		if err := deleteTokens(ctx, w, id); err != nil {
			return err
		}
		return insertToken(ctx, w, row)
	})
	if err != nil {
		return "", err
	}
	r.applyToken(id, row)
	r.watchers.tell(Event{Kind: TokenRevoked, Device: d})
	return token, nil
}

func (r *Registry) applyToken(id trefoil.DeviceID, t tokenRow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[id]
	for _, old := range e.tokens {
		delete(r.owners, old.hash)
	}
	e.tokens = []tokenRow{t}
	r.owners[t.hash] = id
}

// Authenticate gives the device id if the token is one of its valid ones, and
// an error with code unauthorized otherwise, which does not say whether the
// device exists.
func (r *Registry) Authenticate(ctx context.Context, id trefoil.DeviceID, token string) (trefoil.Device, error) {
	hash := tokenHash(sha256.Sum256([]byte(token)))
	now := r.instant()
	r.mu.RLock()
	defer r.mu.RUnlock()
	e := r.devices[id]
	if e == nil {
		return trefoil.Device{}, errCredentials()
	}
	valid := 0
	for i := range e.tokens {
		t := &e.tokens[i]
		if t.expires == 0 || now < t.expires {
			valid |= subtle.ConstantTimeCompare(hash[:], t.hash[:])
		}
	}
	if valid == 0 {
		return trefoil.Device{}, errCredentials()
	}
	return e.device, nil
}

// Identify gives the device whose token this is; errors as in
// [Registry.Authenticate]. The look-up is by hash, and so what its duration
// could tell is nothing about any token.
func (r *Registry) Identify(ctx context.Context, token string) (trefoil.Device, error) {
	if !strings.HasPrefix(token, TokenPrefix) {
		return trefoil.Device{}, errCredentials()
	}
	r.mu.RLock()
	id := r.owners[sha256.Sum256([]byte(token))]
	r.mu.RUnlock()
	return r.Authenticate(ctx, id, token)
}

func errCredentials() error {
	return trefoil.Errorf(trefoil.CodeUnauthorized, "device id or token is wrong")
}
