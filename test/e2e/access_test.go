package e2e

import (
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// connect logs in as the device over a raw socket.
func (r *rig) connect(d trefoiltest.Device, version byte) *wire.Conn {
	r.t.Helper()
	c, err := wire.Connect(r.MQTT, wire.Login{Version: version, ClientID: d.ID, Username: d.ID, Password: d.Token, KeepAlive: 60})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() }) // the test may have closed it
	return c
}

// send writes bytes to the server.
func send(t *testing.T, c *wire.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

// receive waits for a packet of the type.
func receive(t *testing.T, c *wire.Conn, packetType byte) wire.Packet {
	t.Helper()
	p, err := c.Read()
	if err != nil {
		t.Fatalf("wait for packet type %d: %v", packetType, err)
	}
	if p.Type() != packetType {
		t.Fatalf("got packet %#x with % x, want type %d", p.First, p.Body, packetType)
	}
	return p
}

// awaitEnd reads until the server closes the connection.
func awaitEnd(t *testing.T, c *wire.Conn) (packets []wire.Packet) {
	t.Helper()
	for {
		p, err := c.Read()
		if err == nil {
			packets = append(packets, p)
			continue
		}
		if strings.Contains(err.Error(), "timeout") {
			t.Fatal("the server did not close the connection")
		}
		return packets
	}
}

// Packet types.
const (
	connack    = 2
	puback     = 4
	suback     = 9
	disconnect = 14
)

func TestADeviceMayNotPublishForAnother(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	victim, intruder := r.device("victim"), r.device("intruder")
	c := r.connect(intruder, wire.V5)
	for i, topic := range []string{"devices/victim/telemetry", "elsewhere", "devices/intruder2/telemetry", "devices//telemetry"} {
		id := uint16(i + 1)
		send(t, c, wire.AppendPublish(nil, wire.Publish{Version: wire.V5, QoS: 1, ID: id, Topic: topic, Payload: []byte(`{"v":1}`)}))
		if ack := receive(t, c, puback); ack.ID() != id || ack.Reason() != 0x87 {
			t.Errorf("%s: got PUBACK %d with reason %#x, want %d with 0x87 (not authorized)", topic, ack.ID(), ack.Reason(), id)
		}
	}
	if got := r.history(victim.ID, "v").V; len(got) != 0 {
		t.Errorf("history of the other device: got %v, want nothing", got)
	}
	if got := r.drops(intruder.ID)["foreign_topic"]; got != 4 {
		t.Errorf("ledger of the intruder: got %d foreign topics, want 4", got)
	}
}

// drops gives the ledger of a device, reason to count.
func (r *rig) drops(id string) map[string]int {
	r.t.Helper()
	var ledger struct {
		Items []struct {
			Reason string
			Count  int
		}
		Received, Stored, Dropped int
	}
	r.call("GET", "/api/v1/devices/"+id+"/drops", nil, &ledger)
	if ledger.Received != ledger.Stored+ledger.Dropped {
		r.t.Errorf("ledger of %s: received %d, stored %d, dropped %d; want received = stored + dropped",
			id, ledger.Received, ledger.Stored, ledger.Dropped)
	}
	counts := map[string]int{}
	for _, item := range ledger.Items {
		counts[item.Reason] = item.Count
	}
	return counts
}

func TestADeviceMayNotSubscribeBeyondItself(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	r.device("neighbour")
	d := r.device("curious")
	for _, version := range []byte{wire.V311, wire.V5} {
		c := r.connect(d, version)
		for _, filter := range []string{"devices/neighbour/telemetry", "devices/+/telemetry", "#", "devices/#", "$SYS/#"} {
			send(t, c, wire.AppendSubscribe(nil, version, 1, filter, 1))
			ack := receive(t, c, suback)
			if got := ack.Body[len(ack.Body)-1]; got < 0x80 {
				t.Errorf("version %d: SUBACK for %q: got %#x, want a refusal", version, filter, got)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADeviceTokenOpensNothingElseInTheAPI(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	r.device("other")
	own := r.admin.As(r.device("own").Token)
	ctx := t.Context()
	if err := own.Call(ctx, "POST", "/api/v1/devices/own/telemetry", map[string]any{"v": 1}, nil); err != nil {
		t.Errorf("post to its own device: %v", err)
	}
	if err := own.Call(ctx, "GET", "/api/v1/devices/own/latest", nil, nil); err != nil {
		t.Errorf("latest of its own device: %v", err)
	}
	for _, path := range []string{"/api/v1/devices/other/latest", "/api/v1/devices", "/api/v1/devices/other", "/api/v1/stats"} {
		wantStatus(t, own.Call(ctx, "GET", path, nil, nil), 403, "forbidden")
	}
	wantStatus(t, own.Call(ctx, "POST", "/api/v1/devices/other/telemetry", map[string]any{"v": 1}, nil), 403, "forbidden")
	wantStatus(t, r.admin.As("").Call(ctx, "GET", "/api/v1/devices", nil, nil), 401, "unauthorized")
}

func TestANewTokenCutsTheOldConnection(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	old := r.device("renewed")
	c := r.connect(old, wire.V311)
	var renewed trefoiltest.Device
	r.call("POST", "/api/v1/devices/renewed/token", nil, &renewed)
	awaitEnd(t, c)
	if c, err := wire.Connect(r.MQTT, wire.Login{Version: wire.V311, ClientID: "x", Username: old.ID, Password: old.Token}); err == nil {
		_ = c.Close() // the test has failed
		t.Error("the old token still logs in")
	}
	wantStatus(t, r.admin.As(old.Token).Call(t.Context(), "GET", "/api/v1/devices/renewed/latest", nil, nil), 401, "unauthorized")
	r.connect(trefoiltest.Device{ID: old.ID, Token: renewed.Token}, wire.V311)
}

func TestDeletingADeviceCutsItsConnection(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	c := r.connect(r.device("gone"), wire.V5)
	r.call("DELETE", "/api/v1/devices/gone", nil, nil)
	awaitEnd(t, c)
	wantStatus(t, r.admin.Call(t.Context(), "GET", "/api/v1/devices/gone", nil, nil), 404, "not_found")
}
