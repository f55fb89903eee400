package config

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of all timeouts: shorter ones fail on a slow link, longer ones are
// a slip of the unit.
const (
	minTimeout = 100 * time.Millisecond
	maxTimeout = 10 * time.Minute
)

// value reads one setting from text and shows it in the same form. Set leaves
// the setting alone when it returns an error, whose text says what is allowed.
type value interface {
	Set(s string) error
	String() string
}

type text struct{ p *string }

func (v text) String() string { return *v.p }

func (v text) Set(s string) error {
	if strings.TrimSpace(s) == "" {
		return fmt.Errorf("is empty")
	}
	*v.p = s
	return nil
}

type choice struct {
	p       *string
	allowed []string
}

func (v choice) String() string { return *v.p }

func (v choice) Set(s string) error {
	if !slices.Contains(v.allowed, s) {
		return fmt.Errorf("%q is not allowed; allowed: %s", s, strings.Join(v.allowed, ", "))
	}
	*v.p = s
	return nil
}

type level struct{ p *slog.Level }

func (v level) String() string { return strings.ToLower(v.p.String()) }

func (v level) Set(s string) error {
	name := v.String()
	if err := (choice{&name, []string{"debug", "info", "warn", "error"}}).Set(s); err != nil {
		return err
	}
	return v.p.UnmarshalText([]byte(name))
}

// address is host:port of a listener.
type address struct{ p *string }

func (v address) String() string { return *v.p }

func (v address) Set(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not an address; allowed: [host]:port, e.g. :8080 or 127.0.0.1:8080", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no valid port; allowed: 0 (any free one) to 65535", s)
	} else {
		*v.p = net.JoinHostPort(host, strconv.FormatUint(n, 10))
	}
	return nil
}

// optionalAddress is an address, or "off" for no listener.
type optionalAddress struct{ p *string }

func (v optionalAddress) String() string { return cmp.Or(*v.p, "off") }

func (v optionalAddress) Set(s string) error {
	if s == "off" {
		*v.p = ""
		return nil
	}
	if err := address(v).Set(s); err != nil {
		return fmt.Errorf("%w, or off", err)
	}
	return nil
}

// path names a file, or is "none".
type path struct{ p *string }

func (v path) String() string { return cmp.Or(*v.p, "none") }

func (v path) Set(s string) error {
	if strings.TrimSpace(s) == "" {
		return fmt.Errorf("is empty; allowed: the path of a file, or none")
	}
	*v.p = s
	if s == "none" {
		*v.p = ""
	}
	return nil
}

// storeURL is "sqlite" or the URL of a PostgreSQL database. String masks its
// password.
type storeURL struct{ p *string }

func (v storeURL) String() string {
	u, err := url.Parse(*v.p)
	if err != nil {
		return *v.p
	}
	if q := u.Query(); q.Has("password") {
		q.Set("password", "xxxxx") // as Redacted writes it
		u.RawQuery = q.Encode()
	}
	return u.Redacted()
}

func (v storeURL) Set(s string) error {
	u, err := url.Parse(s)
	switch {
	case s == "sqlite":
	case err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql") && (u.Host != "" || u.Query().Has("host")):
	default: // s may hold a password, so the error does not repeat it
		return fmt.Errorf("is not a database; allowed: sqlite, or postgres://user:password@host/database")
	}
	*v.p = s
	return nil
}

type count struct {
	p        *int
	min, max int
}

func (v count) String() string { return strconv.Itoa(*v.p) }

func (v count) Set(s string) error {
	n, err := strconv.Atoi(strings.ReplaceAll(s, "_", ""))
	if err != nil || n < v.min || n > v.max {
		return fmt.Errorf("%q is not allowed; allowed: a whole number from %d to %d", s, v.min, v.max)
	}
	*v.p = n
	return nil
}

type duration struct {
	p        *time.Duration
	min, max time.Duration
}

func (v duration) String() string { return formatDuration(*v.p) }

func (v duration) Set(s string) error {
	d, err := time.ParseDuration(s)
	if err != nil || d < v.min || d > v.max {
		return fmt.Errorf("%q is not allowed; allowed: a duration from %s to %s, e.g. 30s",
			s, formatDuration(v.min), formatDuration(v.max))
	}
	*v.p = d
	return nil
}

// formatDuration writes 10m where time.Duration writes 10m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

type size struct {
	p        *Size
	min, max Size
}

func (v size) String() string { return v.p.String() }

func (v size) Set(s string) error {
	n, err := ParseSize(s)
	if err != nil || n < v.min || n > v.max {
		return fmt.Errorf("%q is not allowed; allowed: a size from %s to %s, e.g. 256KiB", s, v.min, v.max)
	}
	*v.p = n
	return nil
}
