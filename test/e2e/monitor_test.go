package e2e

import (
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// eventView is what the API says about an event of a device.
type eventView struct {
	Kind, Address, ClientID, Protocol, Transport, Reason, Detail string
	Count                                                        int
}

// awaitEvents waits until the device has n events, and gives them, the latest
// first, with the sentence that explains the device.
func (r *rig) awaitEvents(id string, n int) (events []eventView, explanation string) {
	r.t.Helper()
	var answer struct {
		Items       []eventView
		Explanation string
	}
	await(r.t, "events of "+id, func() bool {
		r.call("GET", "/api/v1/devices/"+id+"/events", nil, &answer)
		return len(answer.Items) >= n
	})
	return answer.Items, answer.Explanation
}

func TestADeviceExplainsWhyItIsOffline(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("pump-7")
	if _, why := r.awaitEvents(d.ID, 0); !strings.HasPrefix(why, "Never connected") {
		t.Errorf("before the first connection: got %q", why)
	}
	for range 3 {
		wrong := trefoiltest.Device{ID: d.ID, Token: "wrong"}
		if res := r.program("mosquitto_pub", append(r.as(wrong, "mqttv5"), "-t", "devices/pump-7/telemetry", "-m", "{}")...); res.code == 0 {
			t.Fatal("a wrong token was accepted")
		}
	}
	await(t, "three refusals in one event", func() bool { events, _ := r.awaitEvents(d.ID, 1); return events[0].Count == 3 })
	if _, why := r.awaitEvents(d.ID, 1); !strings.Contains(why, "Its last login was refused") || !strings.Contains(why, "the token is wrong") {
		t.Errorf("after refused logins: got %q", why)
	}
	c := r.connect(d, wire.V5)
	r.awaitPresence(d.ID, true)
	events, why := r.awaitEvents(d.ID, 2)
	if e := events[0]; e.Kind != "connected" || e.Address != c.LocalAddr().String() || e.ClientID != "pump-7" || e.Protocol != "5.0" || e.Transport != "tcp" {
		t.Errorf("event: got %+v, want the connection from %s", e, c.LocalAddr())
	}
	if !strings.HasPrefix(why, "Online since ") || !strings.Contains(why, " from 127.0.0.1 with MQTT 5.0.") {
		t.Errorf("online: got %q", why)
	}
	_ = c.Close() // the connection is what is lost
	r.awaitPresence(d.ID, false)
	events, why = r.awaitEvents(d.ID, 3)
	if e := events[0]; e.Kind != "disconnected" || e.Reason != "connection lost" {
		t.Errorf("event: got %+v, want the lost connection", e)
	}
	if !strings.Contains(why, "the connection from 127.0.0.1 broke without a goodbye") {
		t.Errorf("offline: got %q", why)
	}
}

func TestEventsSurviveAStopAndSayThatItWasTheServer(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("pump-7")
	r.connect(d, wire.V311)
	r.awaitPresence(d.ID, true)
	r.stop()
	r = r.restart()
	events, why := r.awaitEvents(d.ID, 2)
	if e := events[0]; e.Kind != "disconnected" || e.Reason != "server stopped" {
		t.Errorf("event: got %+v, want that the server stopped", e)
	}
	if !strings.Contains(why, "the server was stopped") {
		t.Errorf("got %q, want that the server was stopped", why)
	}
}

func TestAnOperatorSeesAndEndsConnections(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("pump-7")
	c := r.connect(d, wire.V5)
	send(t, c, wire.AppendPublish(nil, wire.Publish{Version: wire.V5, QoS: 1, ID: 1, Topic: "devices/pump-7/telemetry", Payload: []byte(`{"v":1}`)}))
	receive(t, c, puback)
	r.awaitPresence(d.ID, true) // what is offline before it was online has no reason
	var page struct {
		Items []struct {
			Session, Device, ClientID, Protocol, Transport, Address string
			KeepAlive                                               float64
			MessagesIn                                              int
		}
		Total int
	}
	r.call("GET", "/api/v1/broker/clients?q=pump", nil, &page)
	if len(page.Items) != 1 || page.Total != 1 {
		t.Fatalf("clients: got %+v, want one", page)
	}
	client := page.Items[0]
	if client.Device != "pump-7" || client.Protocol != "5.0" || client.Transport != "tcp" || client.KeepAlive != 60 ||
		client.MessagesIn != 1 || client.Address != c.LocalAddr().String() {
		t.Errorf("client: got %+v", client)
	}
	var overview struct {
		Connections int
		Totals      struct{ MessagesIn int }
	}
	if r.call("GET", "/api/v1/broker", nil, &overview); overview.Connections != 1 || overview.Totals.MessagesIn < 1 {
		t.Errorf("broker: got %+v, want one connection and its message", overview)
	}
	r.call("DELETE", "/api/v1/broker/clients/"+client.Session, nil, nil)
	if p := receive(t, c, disconnect); p.Body[0] != 0x98 {
		t.Errorf("DISCONNECT: got reason %#x, want 0x98", p.Body[0])
	}
	awaitEnd(t, c)
	wantStatus(t, r.admin.Call(t.Context(), "DELETE", "/api/v1/broker/clients/"+client.Session, nil, nil), 404, "not_found")
	if got := r.awaitPresence(d.ID, false).Presence.Reason; got != "disconnected by an administrator" {
		t.Errorf("reason: got %q, want that an administrator did it", got)
	}
}
