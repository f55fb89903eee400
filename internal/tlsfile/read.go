package tlsfile

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Role says which of the [Files] a [Fault] is about. It is the name of the
// setting in the configuration.
type Role string

// The roles.
const (
	Certificate Role = "certificate"
	Key         Role = "key"
	ClientCA    Role = "client_ca"
)

// Fault is a file that cannot be used, with what to do.
type Fault struct {
	Role    Role
	File    string
	Problem string
}

func (f *Fault) Error() string { return fmt.Sprintf("%s %s: %s", f.Role, f.File, f.Problem) }

// readPair reads a certificate with its key. The Leaf is set.
func readPair(certificate, key string) (tls.Certificate, error) {
	certPEM, err := readPEM(Certificate, certificate, "CERTIFICATE")
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := readPEM(Key, key, "PRIVATE KEY")
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := parseAll(Certificate, certificate, certPEM, func(*x509.Certificate) {}); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	switch {
	case err == nil:
		return pair, nil
	case strings.Contains(err.Error(), "does not match"):
		return pair, &Fault{Key, key, "does not belong to the certificate in " + certificate + "; give the key that the certificate was made for"}
	default:
		return pair, &Fault{Key, key, "cannot be read as a private key (" + strings.TrimPrefix(err.Error(), "tls: ") + "); give one in PEM without a passphrase"}
	}
}

func readPool(path string) (*x509.CertPool, error) {
	content, err := readPEM(ClientCA, path, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	return pool, parseAll(ClientCA, path, content, pool.AddCert)
}

// maxFile is far above any chain of certificates; it keeps a wrong path from
// being read into memory.
const maxFile = 1 << 20

// readPEM reads a file that must have a block whose type ends with kind.
func readPEM(role Role, path, kind string) ([]byte, error) {
	fault := func(problem string) ([]byte, error) { return nil, &Fault{role, path, problem} }
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		return fault(fmt.Sprintf("has %d bytes and is no PEM file; at most %d are read", info.Size(), maxFile))
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(path)
	}
	var cause *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fault("does not exist; correct the path, or put the file there")
	case errors.Is(err, fs.ErrPermission):
		return fault("may not be read by this process; give its user the permission")
	case errors.As(err, &cause):
		return fault("cannot be read: " + cause.Err.Error())
	case err != nil:
		return fault("cannot be read: " + err.Error())
	}
	for rest := b; ; {
		var block *pem.Block
		switch block, rest = pem.Decode(rest); {
		case block == nil:
			return fault("has no PEM block of type " + kind + "; convert it to PEM, or correct the path")
		case strings.HasSuffix(block.Type, kind):
			return b, nil
		}
	}
}

// parseAll visits the certificates of a file.
func parseAll(role Role, path string, content []byte, visit func(*x509.Certificate)) error {
	n := 0
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		n++
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return &Fault{role, path, fmt.Sprintf("certificate %d in it is damaged (%s)", n, strings.TrimPrefix(err.Error(), "x509: "))}
		}
		visit(c)
	}
	return nil
}
