// Package tlsfile serves TLS with a certificate, its key and the authorities
// of clients from files, and takes over files that change while connections
// stay: new handshakes use the new ones. New files that are not good change
// nothing; what was in use stays in use, and the log says which file is wrong
// and why.
package tlsfile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Files are paths of PEM files.
type Files struct {
	Certificate string // with the certificates between it and its authority behind it
	Key         string
	ClientCA    string // authorities of client certificates; "" for none
}

// Options say how files are used.
type Options struct {
	Files
	ClientAuth tls.ClientAuthType // what is asked of clients
	NextProtos []string           // protocols of ALPN; none: any
	Log        *slog.Logger
	Now        func() time.Time
}

// Source makes the configurations of handshakes. Make it with [Open]; run
// [Source.Run] so that changes of the files are seen.
type Source struct {
	Options
	current atomic.Pointer[loaded]

	mu   sync.Mutex // one reload at a time
	seen stamps     // of the files when they were last read, good or not
}

// loaded is what was good when it was read.
type loaded struct {
	config  *tls.Config
	expires time.Time
}

// Open reads the files. Its error is a [*Fault] that names the file. A
// certificate that has expired is only a warning: its renewal is on its way
// perhaps, and a server that does not start serves nobody.
func Open(o Options) (*Source, error) {
	s := &Source{Options: o}
	s.seen = s.stat()
	l, err := s.load()
	if err != nil {
		return nil, err
	}
	s.take(l)
	return s, nil
}

// Config is for a listener. Every handshake uses the files as they were last
// found good.
func (s *Source) Config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return s.current.Load().config, nil
		},
	}
}

// Expires is when the certificate in use ends.
func (s *Source) Expires() time.Time { return s.current.Load().expires }

// checkEvery is how often the files are looked at.
const checkEvery = 2 * time.Second

// Run looks at the files until ctx ends, and takes over those that changed.
func (s *Source) Run(ctx context.Context) error {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.check()
		case <-ctx.Done():
			return nil
		}
	}
}

// check reloads when a file changed since it was last read. Files that are
// not good are read, and complained about, once.
func (s *Source) check() {
	if s.changed() {
		s.Reload()
	}
}

func (s *Source) changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.stat().equal(s.seen)
}

// Reload reads the files now.
func (s *Source) Reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = s.stat() // before reading: what changes meanwhile is seen as a change
	l, err := s.load()
	if err != nil {
		s.Log.Error("new TLS files are not good; the old ones stay in use", "error", err,
			"certificate", s.Certificate, "expires", s.Expires())
		return
	}
	s.take(l)
	s.Log.Info("TLS files were read again", "certificate", s.Certificate, "expires", l.expires)
}

// renewBefore is how long before its end a certificate is worth a warning.
const renewBefore = 7 * 24 * time.Hour

func (s *Source) take(l *loaded) {
	s.current.Store(l)
	switch left := l.expires.Sub(s.Now()); {
	case left <= 0:
		s.Log.Warn("the TLS certificate has expired, clients will refuse it: replace the file; a restart is not needed",
			"certificate", s.Certificate, "expired", l.expires)
	case left < renewBefore:
		s.Log.Warn("the TLS certificate expires soon: replace the file; a restart is not needed",
			"certificate", s.Certificate, "expires", l.expires)
	}
}

func (s *Source) load() (*loaded, error) {
	pair, err := readPair(s.Certificate, s.Key)
	if err != nil {
		return nil, err
	}
	var clients *x509.CertPool
	if s.ClientCA != "" {
		if clients, err = readPool(s.ClientCA); err != nil {
			return nil, err
		}
	}
	return &loaded{expires: pair.Leaf.NotAfter, config: &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{pair},
		ClientAuth:   s.ClientAuth,
		ClientCAs:    clients,
		NextProtos:   s.NextProtos,
	}}, nil
}

// stamps tell whether files changed. A file that is not there has none.
type stamps [3]os.FileInfo

func (s *Source) stat() (all stamps) {
	for i, path := range []string{s.Certificate, s.Key, s.ClientCA} {
		if path == "" {
			continue
		}
		if info, err := os.Stat(path); err == nil { // follows links, such as those of mounted secrets
			all[i] = info
		}
	}
	return all
}

// equal also tells apart files of the same size that replaced each other
// within what a file system takes for one moment.
func (a stamps) equal(b stamps) bool {
	for i := range a {
		switch {
		case a[i] == nil && b[i] == nil:
		case a[i] == nil || b[i] == nil:
			return false
		case !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()):
			return false
		}
	}
	return true
}
