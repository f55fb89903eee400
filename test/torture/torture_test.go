package main

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// A torture on every run of the tests; make torture does a longer one, with
// more messages between two kills. One in eight of the rounds ends with a
// clean stop, so that these are more than 200 kills.
func TestNothingIsLostOrDoubledByTwoHundredKills(t *testing.T) {
	binary, err := trefoiltest.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o := options{
		binary: binary, dir: t.TempDir(), rounds: 250, seed: 20, devices: 1, inFlight: 20, drain: patience,
		up: [2]time.Duration{5 * time.Millisecond, 200 * time.Millisecond}, progress: func(int) {},
	}
	t.Logf("seed %d", o.seed)
	r, err := torture(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	r.print(&table)
	t.Log(table.String())
	if len(r.faults) > 0 {
		t.Errorf("got %d broken promises, want none", len(r.faults))
	}
	if kills := r.rounds - r.stopped; kills < 200 {
		t.Errorf("got %d kills, want at least 200", kills)
	}
	for _, row := range r.stored {
		if row.sent == 0 {
			t.Errorf("QoS %d: nothing was sent, so nothing is proved", row.qos)
		}
	}
}

// The judge must see what it is there to see.
func TestASequenceTellsWhatIsMissingRepeatedAndLate(t *testing.T) {
	var s sequence
	for _, n := range []int{1, 2, 2, 5, 4, 6, 1} {
		s.add(n)
	}
	got := [][]int{s.missing, s.late, s.repeated, {s.last}}
	if diff := cmp.Diff([][]int{{3}, {4}, {2, 1}, {6}}, got); diff != "" {
		t.Errorf("missing, late, repeated, last (-want +got):\n%s", diff)
	}
}

func TestAPublisherSendsAgainInOrderWhatIsNotAcknowledged(t *testing.T) {
	p := &publisher{qos: 1, reached: func() int { return 0 }}
	p.more(10)
	p.more(10)
	if _, err := p.handle(packetOf(0x40, 0, 2)); err != nil {
		t.Fatal(err)
	}
	if _, open := p.state(); !slices.Equal(open, []int{1, 3, 4}) {
		t.Errorf("not acknowledged: got %v, want [1 3 4]", open)
	}
	if _, err := p.handle(packetOf(0x40, 0, 2)); err == nil {
		t.Error("a second PUBACK of one message passed, want a fault")
	}
}

func packetOf(first byte, body ...byte) (packet.Header, []byte) {
	return packet.Header{Type: packet.Type(first >> 4), Length: len(body)}, body
}
