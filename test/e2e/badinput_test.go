package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

func TestAMalformedPacketEndsOnlyItsConnection(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("clumsy")
	for name, raw := range map[string][]byte{
		"reserved type":               {0x00, 0x00},
		"SUBSCRIBE without options":   {0x82, 0x05, 0x00, 0x01, 0x00, 0x01, 'a'},
		"length of five bytes":        {0x30, 0xff, 0xff, 0xff, 0xff, 0x01},
		"PUBLISH with QoS 3":          {0x36, 0x05, 0x00, 0x01, 'a', 0x00, 0x01},
		"wildcard in a topic":         {0x30, 0x03, 0x00, 0x01, '#'},
		"second CONNECT":              wire.AppendConnect(nil, wire.Login{Version: wire.V311, ClientID: "again"}),
		"topic longer than packet":    {0x30, 0x02, 0x00, 0x40},
		"topic that is not UTF-8":     {0x30, 0x04, 0x00, 0x02, 0xc3, 0x28},
		"PUBLISH with identifier 0":   {0x32, 0x05, 0x00, 0x01, 'a', 0x00, 0x00},
		"server packet to the server": {0x20, 0x02, 0x00, 0x00},
	} {
		for version, asked := range map[byte]string{wire.V311: "3.1.1", wire.V5: "5.0"} {
			t.Run(name+" "+asked, func(t *testing.T) {
				c := r.in(t).connect(d, version)
				send(t, c, raw)
				packets := awaitEnd(t, c)
				switch {
				case version == wire.V311 && len(packets) != 0:
					t.Errorf("got %d packets before the end, want none to a 3.1.1 client", len(packets))
				case version == wire.V5 && (len(packets) != 1 || packets[0].Type() != disconnect || len(packets[0].Body) == 0 || packets[0].Body[0] < 0x80):
					t.Errorf("got %v before the end, want one DISCONNECT with an error code", packets)
				}
			})
		}
	}
	r.publish(d, "mqttv5", "devices/clumsy/telemetry", `{"alive":true}`)
}

func TestBytesThatAreNotMQTTEndTheirConnection(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	for name, raw := range map[string]string{
		"HTTP":                     "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUBLISH before CONNECT":   "\x30\x03\x00\x01a",
		"unknown protocol name":    "\x10\x0c\x00\x04MQXX\x04\x02\x00\x3c\x00\x00",
		"CONNECT that claims 2 MB": "\x10\x80\x80\x80\x01",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := wire.Dial(r.MQTT)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			send(t, c, []byte(raw))
			awaitEnd(t, c)
		})
	}
}

func TestAConnectionWithoutConnectIsClosed(t *testing.T) {
	r := start(t, trefoiltest.Options{Env: []string{"TREFOIL_LIMITS_CONNECT_TIMEOUT=100ms"}})
	c, err := wire.Dial(r.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	awaitEnd(t, c)
}

func TestAPacketAboveTheLimitIsRefused(t *testing.T) {
	r := start(t, trefoiltest.Options{Env: []string{"TREFOIL_LIMITS_PACKET=8KiB", "TREFOIL_LIMITS_PAYLOAD=4KiB"}})
	d := r.device("verbose")
	big := []byte(`{"text":"` + strings.Repeat("x", 9<<10) + `"}`)
	c := r.connect(d, wire.V5)
	send(t, c, wire.AppendPublish(nil, wire.Publish{Version: wire.V5, QoS: 1, ID: 1, Topic: "devices/verbose/telemetry", Payload: big}))
	packets := awaitEnd(t, c)
	if len(packets) != 1 || packets[0].Type() != disconnect || packets[0].Body[0] != 0x95 {
		t.Errorf("got %v, want DISCONNECT with 0x95 (packet too large)", packets)
	}
	if err := r.admin.Call(t.Context(), "POST", "/api/v1/devices/verbose/telemetry", map[string]string{"text": string(big)}, nil); err == nil {
		t.Error("HTTP took a body above the limit, want 413")
	} else {
		wantStatus(t, err, http.StatusRequestEntityTooLarge, "too_large")
	}
}

func TestAPayloadThatIsNotWhatItSaysIsNotStored(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("garbled")
	c := r.connect(d, wire.V5)
	for i, payload := range []string{`{"v":1,`, `{"good":1,"bad":[}`, `[{"good":1},{"ts":"yesterday","good":2}]`, `not json`} {
		id := uint16(i + 1)
		send(t, c, wire.AppendPublish(nil, wire.Publish{Version: wire.V5, QoS: 1, ID: id, Topic: "devices/garbled/telemetry", Payload: []byte(payload)}))
		if ack := receive(t, c, puback); ack.ID() != id || ack.Reason() != 0x99 {
			t.Errorf("%s: got PUBACK %d with reason %#x, want %d with 0x99 (payload format invalid)", payload, ack.ID(), ack.Reason(), id)
		}
	}
	if got := r.drops("garbled")["malformed_payload"]; got != 4 {
		t.Errorf("ledger: got %d malformed payloads, want 4", got)
	}
	if got := r.history("garbled", "good").V; len(got) != 0 {
		t.Errorf("history: got %v, want nothing of a refused message", got)
	}
}

func TestA311DeviceLearnsOfARefusalOnItsErrorTopic(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("older")
	s := r.subscribe(d, "mqttv311", "devices/older/errors")
	r.publish(d, "mqttv311", "devices/older/telemetry", `{"v":`)
	if got := s.next(); !strings.HasPrefix(got, "devices/older/errors 0 ") || !strings.Contains(got, `"code":153`) {
		t.Errorf("error topic: got %q, want the code 153 (payload format invalid)", got)
	}
}

func TestTheMetricBeyondTheLimitIsRefused(t *testing.T) {
	r := start(t, trefoiltest.Options{Env: []string{"TREFOIL_LIMITS_METRICS=2"}})
	d := r.device("inventive")
	c := r.connect(d, wire.V5)
	for i, payload := range []string{`{"a":1,"b":2}`, `{"c":3}`, `{"a":4}`} {
		send(t, c, wire.AppendPublish(nil, wire.Publish{Version: wire.V5, QoS: 1, ID: uint16(i + 1), Topic: "devices/inventive/telemetry", Payload: []byte(payload)}))
		refused := receive(t, c, puback).Reason() >= 0x80
		if want := i == 1; refused != want {
			t.Errorf("%s: refused %v, want %v", payload, refused, want)
		}
	}
	if got := r.drops("inventive")["too_many_metrics"]; got != 1 {
		t.Errorf("ledger: got %d too_many_metrics, want 1", got)
	}
}
