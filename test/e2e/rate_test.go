package e2e

import (
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

func TestADeviceAboveItsRateIsRefusedAndOthersAreNot(t *testing.T) {
	r := start(t, trefoiltest.Options{Env: []string{"TREFOIL_LIMITS_MESSAGES_PER_SECOND=1"}})
	fast, calm := r.device("fast"), r.device("calm")
	c := r.connect(fast, wire.V5)
	const sent = 20
	for id := range uint16(sent) {
		send(t, c, wire.AppendPublish(nil, wire.Publish{Version: wire.V5, QoS: 1, ID: id + 1, Topic: "devices/fast/telemetry", Payload: []byte(`{"n":1}`)}))
	}
	refused := 0
	for range sent {
		if p := receive(t, c, puback); len(p.Body) > 2 && p.Body[2] == 0x97 {
			refused++
		}
	}
	a, reasons := r.account("fast")
	if refused == 0 || reasons["rate_limit"] != refused || a.Received != sent || a.Stored != sent-refused {
		t.Errorf("fast: %d of %d refused with 0x97, ledger %+v; want every refusal there as rate_limit", refused, sent, a)
	}
	r.publish(calm, "mqttv5", "devices/calm/telemetry", `{"n":1}`)
	r.wantAccount("beside a fast one", "calm", 1, map[string]int{})
}
