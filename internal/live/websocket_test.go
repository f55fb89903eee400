package live_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/live"
	"github.com/trefoil-iot/trefoil/internal/live/liveclient"
)

// gate admits the token "good", and "scoped" for the device a only.
type gate struct{}

func (gate) Admit(r *http.Request) (live.Identity, error) {
	switch strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") {
	case "good":
		return live.Identity{User: "ada", Credential: "token-1"}, nil
	case "scoped":
		only := func(id trefoil.DeviceID) bool { return id == "a" }
		return live.Identity{User: "bob", Credential: "token-2", Allowed: only}, nil
	}
	if c, err := r.Cookie("trefoil_session"); err == nil && c.Value == "good" {
		return live.Identity{User: "ada", Cookie: true}, nil
	}
	return live.Identity{}, trefoil.Errorf(trefoil.CodeUnauthorized, "log in first")
}

func (gate) Refuse(w http.ResponseWriter, _ *http.Request, err error) {
	status := map[trefoil.Code]int{trefoil.CodeUnauthorized: 401, trefoil.CodeUnavailable: 503}[trefoil.CodeOf(err)]
	http.Error(w, err.Error(), status)
}

// serve runs a hub behind a real socket.
func serve(t *testing.T, w *world) (*live.Hub, string) {
	t.Helper()
	h := live.New(live.Deps{Store: w, Devices: w})
	mux := http.NewServeMux()
	mux.Handle("/api/v1/live", h.WebSocket(gate{}))
	mux.Handle("/api/v1/live/events", h.Events(gate{}))
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
		server.Close()
		server.Client().CloseIdleConnections()
		goleak.VerifyNone(t)
	})
	return h, server.URL
}

func dial(t *testing.T, url, token string) *liveclient.Conn {
	t.Helper()
	c, err := liveclient.Dial(t.Context(), liveclient.Config{URL: url, Token: token, HTTPClient: &http.Client{Transport: &http.Transport{}}})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = c.Close() })
	want(t, c, "hello")
	return c
}

// want takes a frame and checks its name.
func want(t *testing.T, c *liveclient.Conn, op string) liveclient.Frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	f, err := c.Next(ctx)
	if err != nil {
		t.Fatalf("next: %v, want frame %q", err, op)
	}
	if f.Op != op {
		t.Fatalf("got frame %+v, want %q", f, op)
	}
	return f
}

func send(t *testing.T, c *liveclient.Conn, v any) {
	t.Helper()
	if err := c.Send(t.Context(), v); err != nil {
		t.Fatalf("send: %v", err)
	}
}

type object = map[string]any

func TestAConversationOverWebSocket(t *testing.T) {
	w := newWorld("a", "b")
	h, url := serve(t, w)
	w.commit(h, message("a", 1000, "x", 1, "door", "open", "on", true))
	c := dial(t, url, "good")
	send(t, c, object{"op": "subscribe", "id": "s1", "devices": []string{"a"}})
	f := want(t, c, "snapshot")
	if len(f.Rows) != 1 || f.Rows[0].Values["door"] != "open" || f.Rows[0].Values["on"] != true || f.Seq != 1 {
		t.Errorf("snapshot is %+v, want one row with a door that is open at seq 1", f)
	}
	if len(f.Devices) != 1 || f.Devices[0].ID != "a" || f.Devices[0].Online {
		t.Errorf("devices of the snapshot are %+v, want a, offline", f.Devices)
	}
	w.commit(h, message("a", 2000, "x", 2), message("b", 2000, "x", 9))
	if f := want(t, c, "readings"); len(f.Rows) != 1 || f.Rows[0].Values["x"] != 2.0 || f.ID != "s1" {
		t.Errorf("readings are %+v, want x=2 of a", f)
	}
	w.set(h, trefoil.Device{ID: "a", Presence: trefoil.Presence{Online: true, Reason: trefoil.ReasonConnected, Since: 5000}})
	if f := want(t, c, "device"); !f.Device.Online || f.Device.Reason != "connected" || f.Device.Since != 5 {
		t.Errorf("device is %+v, want online since 5 ms", f.Device)
	}
	send(t, c, object{"op": "ping"})
	want(t, c, "pong")
	send(t, c, object{"op": "unsubscribe", "id": "s1"})
	want(t, c, "unsubscribed")
	if s := h.Stats(); s.Viewers != 1 || s.Subscriptions != 0 {
		t.Errorf("stats count %d viewers and %d subscriptions, want 1 and 0", s.Viewers, s.Subscriptions)
	}
}

func TestABadRequestGetsAnErrorAndTheSocketStays(t *testing.T) {
	w := newWorld("a", "b")
	_, url := serve(t, w)
	c := dial(t, url, "good")
	many := make([]string, 10_001)
	for i := range many {
		many[i] = "a"
	}
	for _, x := range []struct {
		name string
		send any
		code trefoil.Code
		says string
	}{
		{"unknown op", object{"op": "dance", "id": "q"}, trefoil.CodeInvalid, "subscribe, unsubscribe and ping"},
		{"no op", object{"id": "q"}, trefoil.CodeInvalid, "op"},
		{"not an object", "hello", trefoil.CodeInvalid, ""},
		{"wrong type", object{"op": "subscribe", "id": "q", "devices": "a"}, trefoil.CodeInvalid, `"devices"`},
		{"wrong type of id", object{"op": "subscribe", "id": 7}, trefoil.CodeInvalid, `"id"`},
		{"misspelt member", object{"op": "subscribe", "id": "q", "devices": []string{"a"}, "metric": []string{"x"}}, trefoil.CodeInvalid, `"metric"`},
		{"no id", object{"op": "subscribe", "devices": []string{"a"}}, trefoil.CodeInvalid, `"id"`},
		{"nothing to watch", object{"op": "subscribe", "id": "q"}, trefoil.CodeInvalid, "devices"},
		{"bad device id", object{"op": "subscribe", "id": "q", "devices": []string{"a/b"}}, trefoil.CodeInvalid, "a/b"},
		{"star and ids", object{"op": "subscribe", "id": "q", "devices": []string{"*", "a"}}, trefoil.CodeInvalid, "*"},
		{"devices and tags", object{"op": "subscribe", "id": "q", "devices": []string{"a"}, "tags": []string{"x"}}, trefoil.CodeInvalid, "tags"},
		{"bad metric", object{"op": "subscribe", "id": "q", "devices": []string{"a"}, "metrics": []string{"x#"}}, trefoil.CodeInvalid, "x#"},
		{"negative rate", object{"op": "subscribe", "id": "q", "devices": []string{"a"}, "maxRate": -1}, trefoil.CodeInvalid, "maxRate"},
		{"negative since", object{"op": "subscribe", "id": "q", "devices": []string{"a"}, "since": -1}, trefoil.CodeInvalid, "since"},
		{"unknown device", object{"op": "subscribe", "id": "q", "devices": []string{"a", "z"}}, trefoil.CodeNotFound, "z"},
		{"too many devices", object{"op": "subscribe", "id": "q", "devices": many}, trefoil.CodeTooMany, "10000"},
		{"no such subscription", object{"op": "unsubscribe", "id": "q"}, trefoil.CodeNotFound, "q"},
	} {
		send(t, c, x.send)
		f := want(t, c, "error")
		if f.Code != x.code || !strings.Contains(f.Message, x.says) {
			t.Errorf("%s: got %s %q, want %s that says %q", x.name, f.Code, f.Message, x.code, x.says)
		}
	}
	send(t, c, object{"op": "subscribe", "id": "q", "devices": []string{"a"}})
	want(t, c, "snapshot")
	send(t, c, object{"op": "subscribe", "id": "q", "devices": []string{"b"}})
	if f := want(t, c, "error"); f.Code != trefoil.CodeConflict || f.ID != "q" {
		t.Errorf("the same id twice: got %s for %q, want conflict for q", f.Code, f.ID)
	}
}

func TestSubscriptionsOfAViewerAreBounded(t *testing.T) {
	w := newWorld("a")
	h := live.New(live.Deps{Store: w, Devices: w, Limits: live.Limits{Subscriptions: 2}})
	v := open(t, h)
	subscribe(t, v, live.Request{ID: "1", Devices: []string{"a"}})
	subscribe(t, v, live.Request{ID: "2", Devices: []string{"a"}})
	err := v.Subscribe(live.Request{ID: "3", Devices: []string{"a"}})
	if trefoil.CodeOf(err) != trefoil.CodeTooMany {
		t.Errorf("third subscription of two: got %v, want too_many", err)
	}
}

func TestAnOversizeFrameClosesWith1009(t *testing.T) {
	_, url := serve(t, newWorld("a"))
	c := dial(t, url, "good")
	_ = c.Send(t.Context(), strings.Repeat("x", 2<<20)) // the server may close before all is written
	_, err := c.Next(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusMessageTooBig {
		t.Errorf("got %v, want close code 1009", err)
	}
}

func TestAScopedViewerSeesItsDevicesOnly(t *testing.T) {
	w := newWorld("a", "b")
	h, url := serve(t, w)
	w.commit(h, message("a", 1000, "x", 1), message("b", 1000, "x", 1))
	c := dial(t, url, "scoped")
	send(t, c, object{"op": "subscribe", "id": "q", "devices": []string{"b"}})
	if f := want(t, c, "error"); f.Code != trefoil.CodeNotFound || len(f.Devices) != 1 {
		t.Errorf("a foreign device: got %+v, want not_found that names it", f)
	}
	send(t, c, object{"op": "subscribe", "id": "q", "devices": []string{"*"}})
	if f := want(t, c, "snapshot"); len(f.Rows) != 1 || f.Rows[0].Device != "a" || len(f.Devices) != 1 {
		t.Errorf("snapshot of all is %+v, want a only", f)
	}
	w.commit(h, message("b", 2000, "x", 2))
	w.commit(h, message("a", 3000, "x", 3))
	if f := want(t, c, "readings"); len(f.Rows) != 1 || f.Rows[0].Device != "a" {
		t.Errorf("readings are %+v, want those of a only", f.Rows)
	}
}

func TestWhoIsNotAdmittedGetsNoSocket(t *testing.T) {
	_, url := serve(t, newWorld())
	_, err := liveclient.Dial(t.Context(), liveclient.Config{URL: url, Token: "bad"})
	if trefoil.CodeOf(err) != trefoil.CodeUnauthorized {
		t.Errorf("bad token: got %v, want unauthorized", err)
	}
	for _, x := range []struct {
		name, origin string
		cookie       bool
		status       int
	}{
		{"cookie, foreign page", "http://evil.example", true, http.StatusForbidden},
		{"cookie, own page", url, true, http.StatusSwitchingProtocols},
		{"token, foreign page", "http://app.example", false, http.StatusSwitchingProtocols},
	} {
		header := http.Header{"Origin": {x.origin}}
		if x.cookie {
			header.Set("Cookie", "trefoil_session=good")
		} else {
			header.Set("Authorization", "Bearer good")
		}
		conn, answer, err := websocket.Dial(t.Context(), url+"/api/v1/live", &websocket.DialOptions{HTTPHeader: header, HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
		if answer == nil || answer.StatusCode != x.status {
			t.Errorf("%s: got %v (%v), want status %d", x.name, answer, err, x.status)
		}
		if conn != nil {
			_ = conn.CloseNow()
		}
	}
}

func TestARevokedCredentialEndsItsViewers(t *testing.T) {
	h, url := serve(t, newWorld("a"))
	cut, stays := dial(t, url, "good"), dial(t, url, "scoped")
	n := h.Kick(func(who live.Identity) bool { return who.Credential == "token-1" })
	if n != 1 {
		t.Errorf("kicked %d viewers, want 1", n)
	}
	_, err := cut.Next(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusPolicyViolation {
		t.Errorf("the one that was kicked got %v, want close code 1008", err)
	}
	send(t, stays, object{"op": "ping"})
	want(t, stays, "pong")
}

func TestAStoppingServerSaysWhenToComeBack(t *testing.T) {
	h, url := serve(t, newWorld("a"))
	c := dial(t, url, "good")
	done := make(chan error, 1)
	go func() { done <- h.Close(t.Context()) }()
	_, err := c.Next(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusServiceRestart {
		t.Errorf("got %v, want close code 1012", err)
	}
	if wait := liveclient.RetryAfter(err, time.Hour); wait < 500*time.Millisecond || wait > 3*time.Second {
		t.Errorf("retry after %v, want what the server said, between 0.5 and 3 s", wait)
	}
	if err := <-done; err != nil {
		t.Errorf("close: %v", err)
	}
	if _, err := h.Open(live.Identity{}); !errors.Is(err, live.ErrClosing) {
		t.Errorf("open after close: got %v, want ErrClosing", err)
	}
}

func TestFollowGoesOnAfterALostConnection(t *testing.T) {
	w := newWorld("a")
	h, url := serve(t, w)
	w.commit(h, message("a", 1000, "x", 1))
	var got []float64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	config := liveclient.Config{URL: url, Token: "good", HTTPClient: &http.Client{Transport: &http.Transport{}}}
	err := liveclient.Follow(ctx, config, liveclient.Subscription{Devices: []string{"a"}}, func(f liveclient.Frame) error {
		for _, r := range f.Rows {
			got = append(got, r.Values["x"].(float64))
		}
		switch {
		case f.Op == "snapshot":
			w.commit(h, message("a", 2000, "x", 2))
		case f.Op == "readings" && len(got) == 2:
			h.Kick(func(live.Identity) bool { return true })
			w.commit(h, message("a", 3000, "x", 3)) // while nobody is connected
		case len(got) == 3:
			cancel()
		}
		return nil
	}, nil)
	if err != nil || len(got) != 3 || got[2] != 3 {
		t.Errorf("followed %v and ended with %v, want [1 2 3] and nil", got, err)
	}
}

func TestFollowEndsWhenTheSubscriptionIsRefused(t *testing.T) {
	_, url := serve(t, newWorld("a"))
	config := liveclient.Config{URL: url, Token: "good", HTTPClient: &http.Client{Transport: &http.Transport{}}}
	err := liveclient.Follow(t.Context(), config, liveclient.Subscription{Devices: []string{"typo"}}, nil, nil)
	if trefoil.CodeOf(err) != trefoil.CodeNotFound {
		t.Errorf("got %v, want not_found", err)
	}
}
