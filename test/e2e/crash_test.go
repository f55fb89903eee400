package e2e

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// publisher sends numbered readings over one connection, window of them in
// flight, until the connection ends, and notes which numbers were acked.
type publisher struct {
	conn   *wire.Conn
	topic  string
	acked  []int
	enough chan<- struct{} // gets one value when the first hundred are acked
}

const window = 20

func (p *publisher) run() {
	const first = 100
	slots := make(chan struct{}, window)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			ack, err := p.conn.Read()
			if err != nil || ack.Type() != puback {
				return
			}
			p.acked = append(p.acked, int(ack.ID()))
			if len(p.acked) == first {
				p.enough <- struct{}{}
			}
			<-slots
		}
	}()
	for n := 1; n < 1<<16; n++ {
		select {
		case slots <- struct{}{}:
		case <-ended:
			return
		}
		payload := fmt.Appendf(nil, `{"n":%d}`, n)
		b := wire.AppendPublish(nil, wire.Publish{Version: wire.V311, QoS: 1, ID: uint16(n), Topic: p.topic, Payload: payload})
		if _, err := p.conn.Write(b); err != nil {
			break // the server is gone; what it acked is still to be read
		}
	}
	<-ended
}

// underLoad publishes from several devices, calls end when each of them has
// had a hundred acks, and returns the acked numbers of each device once all
// connections have ended.
func (r *rig) underLoad(end func()) map[string][]int {
	r.t.Helper()
	const devices = 10
	enough := make(chan struct{}, devices)
	publishers := make([]*publisher, devices)
	var all sync.WaitGroup
	for i := range publishers {
		d := r.device(fmt.Sprintf("load-%d", i))
		p := &publisher{conn: r.connect(d, wire.V311), topic: "devices/" + d.ID + "/telemetry", enough: enough}
		publishers[i] = p
		all.Go(p.run)
	}
	for range devices {
		<-enough
	}
	end()
	all.Wait()
	acked := map[string][]int{}
	for i, p := range publishers {
		acked[fmt.Sprintf("load-%d", i)] = p.acked
	}
	return acked
}

// stored gives the numbers that are in history, sorted.
func (r *rig) stored(id string) []int {
	r.t.Helper()
	var numbers []int
	for _, v := range r.history(id, "n").V {
		numbers = append(numbers, int(v.(float64)))
	}
	slices.Sort(numbers)
	return numbers
}

// wantStored checks that everything acked is in history.
func (r *rig) wantStored(acked map[string][]int) {
	r.t.Helper()
	for id, numbers := range acked {
		stored := r.stored(id)
		for _, n := range numbers {
			if _, ok := slices.BinarySearch(stored, n); !ok {
				r.t.Errorf("%s: reading %d was acked and is not stored (%d acked, %d stored)", id, n, len(numbers), len(stored))
				break
			}
		}
	}
}

func TestWhatWasAckedSurvivesKill9(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	acked := r.underLoad(func() {
		if err := r.Kill(); err != nil {
			t.Fatal(err)
		}
	})
	r.restart().wantStored(acked)
}

func TestACleanStopStoresAndAcksWhatItAccepted(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	acked := r.underLoad(r.stop)
	after := r.restart()
	after.wantStored(acked)
	for id, numbers := range acked {
		slices.Sort(numbers)
		if stored := after.stored(id); !slices.Equal(stored, numbers) {
			t.Errorf("%s: %d readings are stored and %d were acked; want every stored one acked", id, len(stored), len(numbers))
		}
	}
}

func TestPresenceIsOfflineAfterARestart(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("sleeper")
	r.connect(d, wire.V311)
	r.awaitPresence("sleeper", true)
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	r.restart().awaitPresence("sleeper", false)
}

func TestTheAddressesFileIsThereWhileTheServerIs(t *testing.T) {
	r := start(t, trefoiltest.Options{}) // start has read it
	r.stop()
	if got := dirNames(t, r.dir); slices.Contains(got, "addresses.json") {
		t.Errorf("files after a clean stop: got %v, want no addresses.json", got)
	}
}
