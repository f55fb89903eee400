package broker_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/internal/broker"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

func TestAVerifiedCertificateIsTheDeviceThatItNames(t *testing.T) {
	b := &broker.Broker{Config: broker.Config{Devices: everybody{}}}
	urn := func(text string) []*url.URL { return []*url.URL{{Scheme: "urn", Opaque: text}} }
	for _, c := range []struct {
		what     string
		cert     x509.Certificate
		username string
		want     string // session name of the device, or a part of the refusal
	}{
		{"common name", x509.Certificate{Subject: pkix.Name{CommonName: "pump-7"}, DNSNames: []string{"other"}}, "", "device:pump-7"},
		{"common name and user name", x509.Certificate{Subject: pkix.Name{CommonName: "pump-7"}}, "pump-7", "device:pump-7"},
		{"DNS name", x509.Certificate{DNSNames: []string{"pump-8.example.com"}, URIs: urn("x:other")}, "", "device:pump-8.example.com"},
		{"URI", x509.Certificate{URIs: urn("trefoil:pump-9")}, "", "device:pump-9"},
		{"SPIFFE", x509.Certificate{URIs: []*url.URL{{Scheme: "spiffe", Host: "plant", Path: "/device/pump-9"}}}, "", "device:pump-9"},
		{"user name of another", x509.Certificate{Subject: pkix.Name{CommonName: "pump-7"}}, "pump-8", `the user name is not "pump-7"`},
		{"device that does not exist", x509.Certificate{Subject: pkix.Name{CommonName: "nobody"}}, "", `device "nobody", which does not exist`},
		{"no name of a device", x509.Certificate{Subject: pkix.Name{CommonName: "Pump number 7"}}, "", "names no device"},
		{"no name", x509.Certificate{}, "", "names no device"},
	} {
		user, err := b.Authenticate(t.Context(), &mqtt.ConnectRequest{
			HasUsername: c.username != "", Username: c.username, RemoteAddr: &net.TCPAddr{},
			TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{&c.cert}, VerifiedChains: [][]*x509.Certificate{{&c.cert}}},
		})
		got := user.Name
		if refusal := new(mqtt.Refusal); errors.As(err, &refusal) {
			got = refusal.Text
			if refusal.Reason != packet.NotAuthorized {
				t.Errorf("%s: reason: got %v, want not authorized", c.what, refusal.Reason)
			}
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q (%v), want %q", c.what, got, err, c.want)
		}
	}
}

func TestACertificateThatWasNotVerifiedIsNobody(t *testing.T) {
	b := &broker.Broker{Config: broker.Config{Devices: everybody{}, Services: everybody{}}}
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: "pump-7"}}
	_, err := b.Authenticate(t.Context(), &mqtt.ConnectRequest{
		RemoteAddr: &net.TCPAddr{}, TLS: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}},
	})
	if err == nil {
		t.Error("got in, want a refusal")
	}
}
