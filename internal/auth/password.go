package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of a password: the recommendation of OWASP for argon2id with the
// smallest number of threads, which a small board can bear.
const (
	argonTime    = 2
	argonMemory  = 19 * 1024 // KiB
	argonThreads = 1
	argonSalt    = 16
	argonKey     = 32
)

// Bounds of what a stored hash may ask for, so that a changed row cannot take
// all memory.
const (
	maxArgonTime   = 16
	maxArgonMemory = 256 * 1024
)

// hashPassword gives the PHC string of an argon2id hash with a new salt.
func hashPassword(password string) (string, error) {
	salt := make([]byte, argonSalt)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("make salt: %w", err)
	}
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	return phcString(salt, key), nil
}

func phcString(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

// decoyHash gives a PHC string that no password has, without the memory and
// time of making a real one at every start. Checking it costs the same.
func decoyHash() string {
	var random [argonSalt + argonKey]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	return phcString(random[:argonSalt], random[argonSalt:])
}

var errHash = errors.New("stored password is not an argon2id PHC string")

// checkPassword reports whether password has the hash phc.
func checkPassword(phc, password string) (bool, error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return false, errHash
	}
	var version int
	var memory, time uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &time, &threads); err != nil ||
		memory > maxArgonMemory || time == 0 || time > maxArgonTime || threads == 0 {
		return false, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(key) < 16 {
		return false, errHash
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, nil
}

// verify compares in one of the few slots for that.
func (a *Accounts) verify(ctx context.Context, phc, password string) (bool, error) {
	select {
	case a.hashing <- struct{}{}:
		defer func() { <-a.hashing }()
		return checkPassword(phc, password)
	case <-ctx.Done():
		return false, ctx.Err()
	}
}
