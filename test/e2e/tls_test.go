package e2e

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/trefoil-iot/trefoil/internal/tlsfile/tlsfiletest"
	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// secured is a server with a TLS port that asks for client certificates.
type secured struct {
	*rig
	authority *tlsfiletest.Authority
	certs     string // directory of PEM files
	host      string // of the TLS port
	port      string
}

// startTLS starts a server whose TLS port treats client certificates so.
func startTLS(t *testing.T, clients string) *secured {
	t.Helper()
	s := &secured{authority: tlsfiletest.New(t, "Test authority"), certs: t.TempDir()}
	tlsfiletest.Write(t, s.certs, "ca.pem", s.authority.PEM)
	s.issue(t, "server", tlsfiletest.Subject{CommonName: "trefoil"})
	s.rig = start(t, trefoiltest.Options{Args: []string{"--mqtts", "127.0.0.1:0"}, Env: []string{
		"TREFOIL_MQTT_TLS_CERTIFICATE=" + s.file("server.pem"), "TREFOIL_MQTT_TLS_KEY=" + s.file("server.key"),
		"TREFOIL_MQTT_TLS_CLIENT_CA=" + s.file("ca.pem"), "TREFOIL_MQTT_TLS_CLIENT_CERTIFICATES=" + clients,
	}})
	b, err := os.ReadFile(filepath.Join(s.dir, "addresses.json"))
	if err != nil {
		t.Fatal(err)
	}
	var addresses struct{ MQTTS string }
	if err := json.Unmarshal(b, &addresses); err != nil {
		t.Fatal(err)
	}
	if s.host, s.port, err = net.SplitHostPort(addresses.MQTTS); err != nil {
		t.Fatalf("address of the TLS port in %s: %v", b, err)
	}
	return s
}

func (s *secured) file(name string) string { return filepath.Join(s.certs, name) }

// issue writes name.pem and name.key.
func (s *secured) issue(t *testing.T, name string, subject tlsfiletest.Subject) {
	t.Helper()
	cert, key := s.authority.Issue(subject)
	tlsfiletest.Write(t, s.certs, name+".key", key)
	tlsfiletest.Write(t, s.certs, name+".pem", cert)
}

// pub runs mosquitto_pub over TLS.
func (s *secured) pub(version, device, payload string, more ...string) result {
	s.t.Helper()
	args := []string{
		"-h", s.host, "-p", s.port, "-V", version, "--cafile", s.file("ca.pem"), "-i", device,
		"-q", "1", "-t", "devices/" + device + "/telemetry", "-m", payload,
	}
	return s.program("mosquitto_pub", append(args, more...)...)
}

func TestMosquittoPublishesOverTLSWithAToken(t *testing.T) {
	s := startTLS(t, "optional")
	for _, version := range versions {
		for _, protocol := range []string{"tlsv1.2", "tlsv1.3"} {
			d := s.device(version + "-" + protocol)
			res := s.pub(version, d.ID, `{"v":1}`, "-u", d.ID, "-P", d.Token, "--tls-version", protocol)
			if res.code != 0 {
				t.Errorf("%s over %s: exit code %d: %s", version, protocol, res.code, res.output)
			}
			if got := s.history(d.ID, "v").V; len(got) != 1 {
				t.Errorf("%s over %s: history has %v, want one reading", version, protocol, got)
			}
		}
	}
}

func TestMosquittoLogsInWithACertificate(t *testing.T) {
	s := startTLS(t, "required")
	s.device("pump-7")
	token := s.device("pump-8").Token
	s.issue(t, "pump-7", tlsfiletest.Subject{CommonName: "pump-7"})
	s.issue(t, "uri", tlsfiletest.Subject{URIs: []string{"urn:trefoil:pump-7"}})
	s.issue(t, "ghost", tlsfiletest.Subject{CommonName: "ghost"})
	cert := func(name string, more ...string) []string {
		return append([]string{"--cert", s.file(name + ".pem"), "--key", s.file(name + ".key")}, more...)
	}
	for _, version := range versions {
		for _, c := range []struct {
			what, device string
			args         []string
			want         bool
		}{
			{"certificate alone", "pump-7", cert("pump-7"), true},
			{"certificate and its name", "pump-7", cert("pump-7", "-u", "pump-7"), true},
			{"certificate with a URI", "pump-7", cert("uri"), true},
			{"name of another device, with its token", "pump-8", cert("pump-7", "-u", "pump-8", "-P", token), false},
			{"certificate of no device", "ghost", cert("ghost"), false},
			{"no certificate, but a token", "pump-8", []string{"-u", "pump-8", "-P", token}, false},
		} {
			res := s.pub(version, c.device, `{"v":1}`, c.args...)
			if got := res.code == 0; got != c.want {
				t.Errorf("%s, %s: got exit code %d, want success=%v; output: %s", version, c.what, res.code, c.want, res.output)
			}
		}
	}
	if got := len(s.history("pump-7", "v").V); got != 6 {
		t.Errorf("history of pump-7: got %d readings, want 6", got)
	}
	if got := len(s.history("pump-8", "v").V); got != 0 {
		t.Errorf("history of pump-8: got %d readings, want none", got)
	}
}

func TestANewCertificateIsTakenOverWhileConnectionsStay(t *testing.T) {
	s := startTLS(t, "required")
	d := s.device("pump-7")
	s.issue(t, "pump-7", tlsfiletest.Subject{CommonName: "pump-7"})
	metrics, err := s.admin.As("").Text(t.Context(), "/metrics")
	if err != nil || !strings.Contains(metrics, "\ntrefoil_mqtt_certificate_expires_seconds ") {
		t.Errorf("metrics: got no time of expiry (%v)", err)
	}
	var info struct{ MQTTS struct{ Port int } }
	if s.call("GET", "/api/v1/server", nil, &info); strconv.Itoa(info.MQTTS.Port) != s.port {
		t.Errorf("port for TLS that the server tells: got %d, want %s", info.MQTTS.Port, s.port)
	}
	watcher := s.subscribe(d, "mqttv5", "devices/pump-7/telemetry", "-h", s.host, "-p", s.port,
		"--cafile", s.file("ca.pem"), "--cert", s.file("pump-7.pem"), "--key", s.file("pump-7.key"), "-i", "watcher")
	if got := s.serverName(); got != "trefoil" {
		t.Fatalf("certificate at the start: got %q, want that of trefoil", got)
	}
	s.issue(t, "server", tlsfiletest.Subject{CommonName: "renewed"})
	if err := syscall.Kill(s.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the renewed certificate", func() bool { return s.serverName() == "renewed" })
	tlsfiletest.Write(t, s.certs, "server.key", []byte("broken"))
	if err := syscall.Kill(s.PID, syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the complaint about the broken key", func() bool { return strings.Contains(s.Output(), "the old ones stay in use") })
	wantWords(t, s.Output(), s.file("server.key"), "no PEM block")
	if got := s.serverName(); got != "renewed" {
		t.Errorf("certificate after a broken key: got %q, want that of before", got)
	}
	if res := s.pub("mqttv5", "pump-7", `{"v":2}`, "--cert", s.file("pump-7.pem"), "--key", s.file("pump-7.key")); res.code != 0 {
		t.Errorf("publish after the change: exit code %d: %s", res.code, res.output)
	}
	if got, want := watcher.next(), `devices/pump-7/telemetry 0 {"v":2}`; got != want {
		t.Errorf("the connection from before: got %q, want %q", got, want)
	}
}

// serverName is the name in the certificate that the TLS port shows now.
func (s *secured) serverName() string {
	s.t.Helper()
	c, err := tls.Dial("tcp", net.JoinHostPort(s.host, s.port), &tls.Config{RootCAs: s.authority.Pool()})
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestWrongTLSFilesNameFileKeyAndWhatToDo(t *testing.T) {
	a, dir := tlsfiletest.New(t, "authority"), t.TempDir()
	cert, _ := a.Issue(tlsfiletest.Subject{CommonName: "a"})
	_, key := a.Issue(tlsfiletest.Subject{CommonName: "b"})
	certFile, keyFile := tlsfiletest.Write(t, dir, "a.pem", cert), tlsfiletest.Write(t, dir, "b.key", key)
	data := t.TempDir()
	serve := []string{"serve", "--data", data, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--config"}
	for config, words := range map[string][]string{
		"http:\n  tls: {certificate: " + certFile + ", key: " + keyFile + "}\n":               {keyFile, "http.tls.key", "does not belong to the certificate in " + certFile},
		"http:\n  tls: {certificate: " + certFile + ", key: /none/there.key}\n":               {"/none/there.key", "http.tls.key", "does not exist"},
		"mqtt:\n  tls: {address: ':0', certificate: " + keyFile + ", key: " + keyFile + "}\n": {keyFile, "mqtt.tls.certificate", "CERTIFICATE"},
		"mqtt:\n  tls: {address: ':0'}\n":                                                     {"trefoil.yaml:2", "mqtt.tls.certificate", "mqtt.tls.key"},
	} {
		file := tlsfiletest.Write(t, dir, "trefoil.yaml", []byte(config))
		wantWords(t, refuse(t, dir, append(serve, file)...), words...)
	}
	if names := dirNames(t, data); len(names) != 0 {
		t.Errorf("data directory after refused starts: got %q, want nothing", names)
	}
}
