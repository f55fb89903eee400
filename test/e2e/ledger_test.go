package e2e

import (
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// account is the ledger of one device as the API shows it.
type account struct {
	Received, Stored, Dropped int
	Items                     []struct {
		Reason string
		Count  int
	}
}

func (r *rig) account(id string) (a account, reasons map[string]int) {
	r.t.Helper()
	r.call("GET", "/api/v1/devices/"+id+"/drops", nil, &a)
	reasons = map[string]int{}
	for _, item := range a.Items {
		reasons[item.Reason] = item.Count
	}
	return a, reasons
}

// wantAccount checks the equation of a device and what is in it.
func (r *rig) wantAccount(when, id string, stored int, want map[string]int) {
	r.t.Helper()
	a, got := r.account(id)
	if d := cmp.Diff(want, got); d != "" {
		r.t.Errorf("%s: reasons of %s (-want +got):\n%s", when, id, d)
	}
	if a.Stored != stored || a.Received != a.Stored+a.Dropped {
		r.t.Errorf("%s: %s received %d, stored %d and dropped %d; want %d stored, and received = stored + dropped", when, id, a.Received, a.Stored, a.Dropped, stored)
	}
}

// refusals publishes what is refused and what is stored, and gives the
// reasons with their counts.
func (r *rig) refusals(d trefoiltest.Device, version byte) (stored int, want map[string]int) {
	r.t.Helper()
	c := r.connect(d, version)
	own := "devices/" + d.ID + "/"
	id := uint16(0)
	for _, m := range []struct{ topic, payload string }{
		{own + "telemetry", `{"a":1}`},
		{own + "telemetry", `{"a":`},                              // malformed_payload
		{own + "telemetry", `{"a":1e999}`},                        // malformed_payload
		{own + "nothing", `1`},                                    // unknown_topic
		{"devices/" + d.ID + "x/telemetry", `{"a":1}`},            // foreign_topic
		{own + "telemetry", `{"a":"` + strings.Repeat("x", 2000)}, // too_large
		{own + "telemetry", `{"b":1,"c":2}`},
		{own + "telemetry", `{"d":1}`},                             // too_many_metrics
		{own + "telemetry", `{"a":2,"ts":"2400-01-01T00:00:00Z"}`}, // clock_ahead, stored all the same
	} {
		id++
		send(r.t, c, wire.AppendPublish(nil, wire.Publish{Version: version, QoS: 1, ID: id, Topic: m.topic, Payload: []byte(m.payload)}))
		receive(r.t, c, puback)
	}
	if err := c.Close(); err != nil {
		r.t.Fatal(err)
	}
	own2 := r.admin.As(d.Token)
	_ = own2.Call(r.t.Context(), "POST", "/api/v1/devices/"+d.ID+"/telemetry", map[string]any{"d": 1}, nil)                         // too_many_metrics
	_ = own2.Call(r.t.Context(), "POST", "/api/v1/devices/"+d.ID+"/telemetry", map[string]any{"a": strings.Repeat("x", 2000)}, nil) // too_large
	_ = own2.Call(r.t.Context(), "POST", "/api/v1/devices/"+d.ID+"/telemetry", "not an object", nil)                                // malformed_payload
	return 3, map[string]int{
		"malformed_payload": 3, "unknown_topic": 1, "foreign_topic": 1, "too_large": 2, "too_many_metrics": 2, "clock_ahead": 1,
	}
}

func TestWhatWasReceivedIsStoredOrInTheLedgerWithItsReason(t *testing.T) {
	r := start(t, trefoiltest.Options{Env: []string{"TREFOIL_LIMITS_METRICS=3", "TREFOIL_LIMITS_PAYLOAD=1KiB", "TREFOIL_LIMITS_QUEUE=16"}})
	sum := map[string]int{}
	expect := map[string]map[string]int{}
	for id, version := range map[string]byte{"old": wire.V311, "new": wire.V5} {
		stored, want := r.refusals(r.device(id), version)
		r.wantAccount("at once", id, stored, want)
		expect[id] = want
		for reason, n := range want {
			sum[reason] += n
		}
	}
	flood := r.device("flood")
	n := r.fillQueue(flood)
	a, reasons := r.account("flood")
	if reasons["queue_full"] == 0 || a.Received != n || a.Received != a.Stored+a.Dropped || len(reasons) != 1 {
		t.Errorf("flood of %d: got %+v, want what was not stored dropped with queue_full", n, a)
	}
	sum["queue_full"] = reasons["queue_full"]
	if d := cmp.Diff(sum, r.droppedByMetric()); d != "" {
		t.Errorf("metrics by reason (-want +got):\n%s", d)
	}

	r.stop()
	r = r.restart()
	for id, want := range expect {
		r.wantAccount("after a restart", id, 3, want)
	}
	r.wantAccount("after a restart", "flood", a.Stored, map[string]int{"queue_full": reasons["queue_full"]})
	for i := range 20 { // acknowledged right before the kill
		r.publish(flood, "mqttv5", "devices/flood/telemetry", fmt.Sprintf(`{"n":%d}`, i))
	}
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	r = r.restart()
	r.wantAccount("after a kill", "flood", a.Stored+20, map[string]int{"queue_full": reasons["queue_full"]})
}

// fillQueue publishes with QoS 0 while nothing can be stored, until messages
// are dropped, and gives the number of messages whose fate is known then.
func (r *rig) fillQueue(d trefoiltest.Device) int {
	r.t.Helper()
	r.limitFiles("1")
	c := r.connect(d, wire.V5)
	sent := 0
	publish := func(n int) {
		var b []byte
		for range n {
			sent++
			b = wire.AppendPublish(b, wire.Publish{Version: wire.V5, Topic: "devices/" + d.ID + "/telemetry", Payload: fmt.Appendf(nil, `{"n":%d}`, sent)})
		}
		send(r.t, c, b)
	}
	publish(200)
	await(r.t, "a message to be dropped", func() bool {
		_, reasons := r.account(d.ID)
		return reasons["queue_full"] > 0
	})
	r.limitFiles("unlimited")
	await(r.t, "all messages to have a fate", func() bool {
		a, _ := r.account(d.ID)
		return a.Received == sent
	})
	return sent
}

var droppedMetric = regexp.MustCompile(`trefoil_messages_dropped_total\{reason="([a-z_]+)"\} ([0-9]+)`)

// droppedByMetric gives the counts of /metrics that are not zero.
func (r *rig) droppedByMetric() map[string]int {
	r.t.Helper()
	text, err := r.admin.Text(r.t.Context(), "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	counts := map[string]int{}
	for _, m := range droppedMetric.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[2])
		if err != nil {
			r.t.Fatal(err)
		}
		counts[m[1]] = n
	}
	maps.DeleteFunc(counts, func(_ string, n int) bool { return n == 0 })
	return counts
}
