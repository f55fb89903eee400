package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// frame is what the live protocol sends, as far as the tests look at it.
type frame struct {
	Op   string
	ID   string
	Seq  uint64
	Rows []struct {
		Device string
		T      float64
		Values map[string]any
	}
	Device struct {
		ID     string
		Online bool
	}
	Code string
}

// watch opens the live protocol and sends the request.
func (r *rig) watch(request string) *websocket.Conn {
	r.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + r.admin.Token}}
	c, _, err := websocket.Dial(r.t.Context(), "ws://"+r.HTTP+"/api/v1/live", &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.CloseNow() }) // the test is over
	if err := c.Write(r.t.Context(), websocket.MessageText, []byte(request)); err != nil {
		r.t.Fatal(err)
	}
	return c
}

// nextFrame waits for the next frame with the op; others are passed over.
func nextFrame(t *testing.T, c *websocket.Conn, op string) frame {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		_, text, err := c.Read(ctx)
		if err != nil {
			t.Fatalf("wait for %q: %v", op, err)
		}
		var f frame
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatalf("frame %s: %v", text, err)
		}
		if f.Op == op {
			return f
		}
	}
}

func TestAViewerGetsTheSnapshotAndThenEveryChange(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("watched")
	other := r.device("unwatched")
	r.publish(d, "mqttv311", "devices/watched/telemetry", `{"temperature":1}`)
	c := r.watch(`{"op":"subscribe","id":"s1","devices":["watched"]}`)
	snapshot := nextFrame(t, c, "snapshot")
	if len(snapshot.Rows) != 1 || snapshot.Rows[0].Values["temperature"] != 1.0 {
		t.Errorf("snapshot: got %+v, want the one reading that is stored", snapshot.Rows)
	}
	r.publish(other, "mqttv311", "devices/unwatched/telemetry", `{"temperature":99}`)
	for want := 2.0; want < 5; want++ {
		r.publish(d, "mqttv5", "devices/watched/telemetry", `{"temperature":`+string(rune('0'+int(want)))+`}`)
		f := nextFrame(t, c, "readings")
		if len(f.Rows) != 1 || f.Rows[0].Device != "watched" || f.Rows[0].Values["temperature"] != want {
			t.Errorf("readings: got %+v, want temperature %v of watched alone", f.Rows, want)
		}
		if f.Seq <= snapshot.Seq {
			t.Errorf("seq: got %d, want more than %d of the snapshot", f.Seq, snapshot.Seq)
		}
	}
}

func TestAViewerLearnsThatADeviceCameAndWent(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("comer")
	c := r.watch(`{"op":"subscribe","id":"s1","devices":["*"]}`)
	nextFrame(t, c, "snapshot")
	s := r.subscribe(d, "mqttv5", "devices/comer/status")
	if f := nextFrame(t, c, "device"); f.Device.ID != "comer" || !f.Device.Online {
		t.Errorf("got %+v, want comer online", f.Device)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if f := nextFrame(t, c, "device"); f.Device.ID != "comer" || f.Device.Online {
		t.Errorf("got %+v, want comer offline", f.Device)
	}
}

func TestAWrongLiveRequestIsAnsweredAndTheConnectionStays(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	r.device("any")
	c := r.watch(`{"op":"subscribe","id":"s1"}`)
	if f := nextFrame(t, c, "error"); f.Code != "invalid" || f.ID != "s1" {
		t.Errorf("got %+v, want an error with code invalid for s1", f)
	}
	if err := c.Write(t.Context(), websocket.MessageText, []byte(`{"op":"ping"}`)); err != nil {
		t.Fatal(err)
	}
	nextFrame(t, c, "pong")
}

func TestTheLiveProtocolNeedsALogin(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	for name, header := range map[string]http.Header{
		"nobody":       nil,
		"a device":     {"Authorization": {"Bearer " + r.device("spy").Token}},
		"a wrong page": {"Cookie": {"trefoil_session=" + r.admin.Token}, "Origin": {"http://elsewhere.example"}},
	} {
		c, resp, err := websocket.Dial(t.Context(), "ws://"+r.HTTP+"/api/v1/live", &websocket.DialOptions{HTTPHeader: header})
		if err == nil {
			_ = c.CloseNow() // the test has failed
			t.Errorf("%s: got a connection, want a refusal", name)
			continue
		}
		if resp == nil || resp.StatusCode != http.StatusUnauthorized && resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: got %v, want 401 or 403", name, resp)
		}
	}
}
