package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/trefoil-iot/trefoil/internal/tlsfile/tlsfiletest"
	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// web is a server that speaks HTTPS, with a client of its administrator.
type web struct {
	*trefoiltest.Server
	t      *testing.T
	trust  *tls.Config
	client *http.Client // HTTP/2 where the server can
	token  string
	login  http.Header // of the answer to the login
}

func startHTTPS(t *testing.T) *web {
	t.Helper()
	a, certs := tlsfiletest.New(t, "Test authority"), t.TempDir()
	cert, key := a.Issue(tlsfiletest.Subject{CommonName: "trefoil"})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := trefoiltest.Start(ctx, trefoiltest.Options{Binary: binary, Dir: t.TempDir(), Env: []string{
		"TREFOIL_HTTP_TLS_CERTIFICATE=" + tlsfiletest.Write(t, certs, "server.pem", cert),
		"TREFOIL_HTTP_TLS_KEY=" + tlsfiletest.Write(t, certs, "server.key", key),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Errorf("kill the server: %v", err)
		}
	})
	w := &web{Server: s, t: t, trust: &tls.Config{RootCAs: a.Pool()}}
	w.client = &http.Client{Transport: &http.Transport{TLSClientConfig: w.trust, ForceAttemptHTTP2: true}}
	var session struct{ Token string }
	w.login = w.call("POST", "/api/v1/login", `{"username":"admin","password":"`+trefoiltest.AdminPassword+`"}`, &session)
	w.token = session.Token
	return w
}

// call calls the API and gives the header of the answer.
func (w *web) call(method, path, body string, out any) http.Header {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, "https://"+w.HTTP+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 || resp.ProtoMajor != 2 {
		w.t.Fatalf("%s %s: got status %d over HTTP/%d, want success over HTTP/2", method, path, resp.StatusCode, resp.ProtoMajor)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.Header
}

// dial opens a secure WebSocket.
func (w *web) dial(path, protocol string) *websocket.Conn {
	w.t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: w.trust.Clone()}} // WebSocket is HTTP/1.1
	c, _, err := websocket.Dial(w.t.Context(), "wss://"+w.HTTP+path, &websocket.DialOptions{
		HTTPClient: client, Subprotocols: []string{protocol},
	})
	if err != nil {
		w.t.Fatalf("secure WebSocket %s: %v", path, err)
	}
	w.t.Cleanup(func() { _ = c.CloseNow() }) // the test may have closed it
	return c
}

func TestHTTPSCarriesAPIAndLiveReadings(t *testing.T) {
	w := startHTTPS(t)
	if got := w.login.Get("Set-Cookie"); !strings.Contains(got, "Secure") {
		t.Errorf("cookie of the login: got %q, want a secure one", got)
	}
	nextFrame(t, w.dial("/api/v1/live?token="+w.token, "trefoil.live.v1"), "hello")
	wantWords(t, w.Output(), "https://"+w.HTTP)
}

func TestADeviceConnectsOverASecureWebSocket(t *testing.T) {
	w := startHTTPS(t)
	var d trefoiltest.Device
	w.call("POST", "/api/v1/devices", `{"id":"pump-7"}`, &d)
	conn := websocket.NetConn(t.Context(), w.dial("/mqtt", "mqtt"), websocket.MessageBinary)
	login := wire.Login{Version: wire.V5, ClientID: "c", Username: d.ID, Password: d.Token, KeepAlive: 60}
	if _, err := conn.Write(wire.AppendConnect(nil, login)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 4)
	if _, err := io.ReadFull(conn, answer); err != nil || answer[0] != connack<<4 || answer[3] != 0 {
		t.Fatalf("CONNECT: got % x, %v, want a CONNACK that accepts", answer, err)
	}
	var page struct {
		Items []struct{ Device, Transport string }
	}
	w.call("GET", "/api/v1/broker/clients", "", &page)
	if len(page.Items) != 1 || page.Items[0].Device != "pump-7" || page.Items[0].Transport != "wss" {
		t.Errorf("clients: got %+v, want pump-7 over wss", page.Items)
	}
}
