package journal

import (
	"fmt"
	"testing"

	"github.com/trefoil-iot/trefoil"
)

// BenchmarkAFleetThatReconnects stores one event of each of 10,000 devices
// that the journal has not seen since its start.
func BenchmarkAFleetThatReconnects(b *testing.B) {
	j := newBench(b)
	const devices = 10_000
	ids := make([]trefoil.DeviceID, devices)
	for i := range ids {
		ids[i] = trefoil.DeviceID(fmt.Sprintf("device-%d", i))
	}
	j.devices(ids)
	at := trefoil.Instant(0)
	for b.Loop() {
		j.reopen()
		at++
		for _, id := range ids {
			j.Add(id, Event{Kind: Connected, Time: at, Address: "10.0.0.7:52114", Client: string(id), Protocol: "5.0", Transport: "tcp"})
		}
		j.store()
	}
}
