package tlsfile

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/internal/tlsfile/tlsfiletest"
)

// bench is a directory with a certificate, its key and an authority.
type bench struct {
	t         *testing.T
	dir       string
	authority *tlsfiletest.Authority
	files     Files
	log       bytes.Buffer
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), authority: tlsfiletest.New(t, "authority")}
	b.issue("first")
	b.files.ClientCA = tlsfiletest.Write(t, b.dir, "ca.pem", b.authority.PEM)
	return b
}

// issue replaces certificate and key.
func (b *bench) issue(name string) {
	b.t.Helper()
	cert, key := b.authority.Issue(tlsfiletest.Subject{CommonName: name})
	b.files.Certificate = tlsfiletest.Write(b.t, b.dir, "cert.pem", cert)
	b.files.Key = tlsfiletest.Write(b.t, b.dir, "key.pem", key)
}

func (b *bench) options() Options {
	return Options{Files: b.files, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Now: time.Now}
}

func (b *bench) open(change ...func(*Options)) *Source {
	b.t.Helper()
	o := b.options()
	for _, c := range change {
		c(&o)
	}
	s, err := Open(o)
	if err != nil {
		b.t.Fatalf("Open: %v", err)
	}
	return s
}

// handshake connects over a real socket, lets the server say one byte, and
// gives the name in the server's certificate. The error is the client's.
func (b *bench) handshake(server, client *tls.Config) (name string, conn *tls.Conn, err error) {
	b.t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		b.t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		b.t.Cleanup(func() { c.Close() })
		_, _ = c.Write([]byte{1}) // the client sees a failed handshake as well
	})
	defer l.Close()
	defer served.Wait()
	if client == nil {
		client = &tls.Config{}
	}
	if client.RootCAs == nil {
		client.RootCAs = b.authority.Pool()
	}
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	client.ServerName = "127.0.0.1"
	conn = tls.Client(raw, client)
	b.t.Cleanup(func() { raw.Close() })
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		raw.Close() // lets the server's side end
		return "", nil, err
	}
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, conn, nil
}

func (b *bench) wantName(s *Source, want string) {
	b.t.Helper()
	if got, _, err := b.handshake(s.Config(), nil); got != want {
		b.t.Errorf("certificate: got %q (%v), want %q", got, err, want)
	}
}

func TestOnlyTLS12And13AreSpoken(t *testing.T) {
	b := newBench(t)
	s := b.open()
	for version, want := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, _, err := b.handshake(s.Config(), &tls.Config{MinVersion: version, MaxVersion: version})
		if got := err == nil; got != want {
			t.Errorf("%s: got %v, want accepted=%v", tls.VersionName(version), err, want)
		}
	}
}

func TestANewCertificateServesNewHandshakesAndConnectionsStay(t *testing.T) {
	b := newBench(t)
	s := b.open()
	_, old, err := b.handshake(s.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	b.issue("second")
	s.check()
	b.wantName(s, "second")
	if _, err := old.Write([]byte("still here")); err != nil {
		t.Errorf("the connection from before: %v", err)
	}
	if got := b.log.String(); !strings.Contains(got, "read again") || !strings.Contains(got, b.files.Certificate) {
		t.Errorf("log: got %q, want that the files were read again", got)
	}
}

func TestFilesThatDidNotChangeAreNotReadAgain(t *testing.T) {
	b := newBench(t)
	s := b.open()
	s.check()
	if got := b.log.String(); got != "" {
		t.Errorf("log: got %q, want nothing", got)
	}
}

func TestABrokenNewPairKeepsTheOldOneAndIsNamedOnce(t *testing.T) {
	b := newBench(t)
	s := b.open()
	_, foreign := b.authority.Issue(tlsfiletest.Subject{CommonName: "other"})
	tlsfiletest.Write(t, b.dir, "key.pem", foreign)
	s.check()
	s.check()
	b.wantName(s, "first")
	got := b.log.String()
	if strings.Count(got, "level=ERROR") != 1 || !strings.Contains(got, b.files.Key) || !strings.Contains(got, "does not belong to the certificate") {
		t.Errorf("log: got %q, want one error that names %s and why", got, b.files.Key)
	}
	if err := os.Remove(b.files.Certificate); err != nil {
		t.Fatal(err)
	}
	s.check()
	b.wantName(s, "first")
	b.issue("healed")
	s.check()
	b.wantName(s, "healed")
}

func TestRunSeesChangesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		s := b.open()
		before := s.current.Load()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		b.issue("second")
		time.Sleep(checkEvery)
		synctest.Wait()
		if s.current.Load() == before {
			t.Error("the new files are not in use after the time between two looks")
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
}

func TestEveryBadFileIsNamedWithWhatToDo(t *testing.T) {
	good := newBench(t)
	_, otherKey := good.authority.Issue(tlsfiletest.Subject{CommonName: "other"})
	for _, c := range []struct {
		what  string
		spoil func(f *Files)
		role  Role
		part  string
	}{
		{"no certificate", func(f *Files) { f.Certificate += "-none" }, Certificate, "does not exist"},
		{"no key", func(f *Files) { f.Key += "-none" }, Key, "does not exist"},
		{"no authority", func(f *Files) { f.ClientCA += "-none" }, ClientCA, "does not exist"},
		{"key of another", func(f *Files) { f.Key = tlsfiletest.Write(t, good.dir, "other.pem", otherKey) }, Key, "does not belong to the certificate in " + good.files.Certificate},
		{"key and certificate swapped", func(f *Files) { f.Certificate, f.Key = f.Key, f.Certificate }, Certificate, "no PEM block of type CERTIFICATE"},
		{"text", func(f *Files) { f.Key = tlsfiletest.Write(t, good.dir, "text", []byte("hello")) }, Key, "no PEM block of type PRIVATE KEY"},
		{"damaged", func(f *Files) {
			f.Certificate = tlsfiletest.Write(t, good.dir, "damaged", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
		}, Certificate, "certificate 1 in it is damaged"},
		{"a passphrase", func(f *Files) {
			f.Key = tlsfiletest.Write(t, good.dir, "locked", []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"))
		}, Key, "without a passphrase"},
		{"a directory", func(f *Files) { f.ClientCA = good.dir }, ClientCA, "is a directory"},
		{"far too large", func(f *Files) {
			f.Certificate = tlsfiletest.Write(t, good.dir, "large", make([]byte, maxFile+1))
		}, Certificate, "no PEM file"},
	} {
		o := good.options()
		c.spoil(&o.Files)
		_, err := Open(o)
		var fault *Fault
		if !errors.As(err, &fault) || fault.Role != c.role || fault.File == "" || !strings.Contains(fault.Problem, c.part) {
			t.Errorf("%s: got %v, want a fault of %s with %q", c.what, err, c.role, c.part)
		}
	}
}

func TestAnExpiredCertificateIsAWarning(t *testing.T) {
	b := newBench(t)
	cert, key := b.authority.Issue(tlsfiletest.Subject{CommonName: "old", NotAfter: time.Now().Add(-time.Minute)})
	tlsfiletest.Write(t, b.dir, "cert.pem", cert)
	tlsfiletest.Write(t, b.dir, "key.pem", key)
	b.open()
	if got := b.log.String(); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "has expired") || !strings.Contains(got, b.files.Certificate) {
		t.Errorf("log: got %q, want a warning that the certificate has expired", got)
	}
}

func TestClientCertificatesAreAskedForAsConfigured(t *testing.T) {
	b := newBench(t)
	own := clientPair(t, b.authority)
	foreign := clientPair(t, tlsfiletest.New(t, "foreign"))
	for _, c := range []struct {
		auth tls.ClientAuthType
		cert *tls.Certificate
		want bool
	}{
		{tls.NoClientCert, nil, true},
		{tls.VerifyClientCertIfGiven, nil, true},
		{tls.VerifyClientCertIfGiven, own, true},
		{tls.VerifyClientCertIfGiven, foreign, false},
		{tls.RequireAndVerifyClientCert, nil, false},
		{tls.RequireAndVerifyClientCert, own, true},
		{tls.RequireAndVerifyClientCert, foreign, false},
	} {
		s := b.open(func(o *Options) { o.ClientAuth = c.auth })
		_, _, err := b.handshake(s.Config(), with(c.cert))
		if got := err == nil; got != c.want {
			t.Errorf("%v with certificate=%v: got %v, want accepted=%v", c.auth, c.cert != nil, err, c.want)
		}
	}
}

func TestAClientOfAnAuthorityThatWasReplacedCannotResume(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		b := newBench(t)
		s := b.open(func(o *Options) { o.ClientAuth = tls.RequireAndVerifyClientCert })
		server, client := s.Config(), with(clientPair(t, b.authority))
		client.ClientSessionCache, client.MaxVersion = tls.NewLRUClientSessionCache(1), version
		if _, _, err := b.handshake(server, client); err != nil {
			t.Fatal(err)
		}
		_, again, err := b.handshake(server, client)
		if err != nil || !again.ConnectionState().DidResume {
			t.Fatalf("%s: got %v, want a session that resumes before the change", tls.VersionName(version), err)
		}
		tlsfiletest.Write(t, b.dir, "ca.pem", tlsfiletest.New(t, "successor").PEM)
		s.check()
		if _, _, err := b.handshake(server, client); err == nil {
			t.Errorf("%s: a client of the old authority got in by resuming its session", tls.VersionName(version))
		}
	}
}

func clientPair(t *testing.T, a *tlsfiletest.Authority) *tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(a.Issue(tlsfiletest.Subject{CommonName: "device"}))
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

// with is a client that shows the certificate also to servers that trust
// another authority.
func with(c *tls.Certificate) *tls.Config {
	if c == nil {
		return &tls.Config{}
	}
	return &tls.Config{GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c, nil }}
}
