package simulate

import (
	"fmt"
	"maps"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Device is one virtual device.
type Device struct {
	ID      trefoil.DeviceID
	Name    string
	Tags    trefoil.Tags
	Profile string        // its name, one of [Profiles]
	Every   time.Duration // between two messages

	seed uint64
	site site
	kind *kind
}

// Profiles gives the profiles of all kinds.
func Profiles() []Profile {
	var out []Profile
	for _, k := range kinds() {
		out = append(out, k.profile)
	}
	return out
}

// Plan makes n devices of all kinds. The same seed and n give the same
// devices; prefix is put before every id. Every kind is there when n is at
// least 5; later devices repeat the places of the first ones under numbers of
// their own.
func Plan(seed uint64, n int, prefix string) []Device {
	out := make([]Device, 0, n)
	all := kinds()
	counts := make([]int, len(all))
	for i := range n {
		k := due(all, counts, i+1)
		out = append(out, newDevice(seed, all[k], counts[k], prefix))
		counts[k]++
	}
	return out
}

// due gives the kind that is furthest behind its share of total devices.
func due(all []*kind, counts []int, total int) int {
	best, bestLack := 0, -1.0
	for k := range all {
		if lack := float64(all[k].share*total)/100 - float64(counts[k]); lack > bestLack {
			best, bestLack = k, lack
		}
	}
	return best
}

func newDevice(seed uint64, k *kind, i int, prefix string) Device {
	p := k.places[i%len(k.places)]
	name := p.name
	if again := i / len(k.places); again > 0 {
		name = fmt.Sprintf("%s (%d)", name, again+1)
	}
	tags := trefoil.Tags{"site": p.site, "kind": k.prefix}
	maps.Copy(tags, p.tags)
	id := fmt.Sprintf("%s%s-%02d", prefix, k.prefix, i+1)
	own := seed
	for _, c := range []byte(id[len(prefix):]) {
		own = mix(own ^ uint64(c))
	}
	return Device{
		ID: trefoil.DeviceID(id), Name: name, Tags: tags, Profile: k.profile.Name, Every: k.cadence,
		seed: own, site: siteOf(p.site), kind: k,
	}
}

// At appends what d measures at t to dst, always the same for the same seed,
// device and time. The order of the metrics is fixed.
func (d *Device) At(t time.Time, dst []trefoil.Reading) []trefoil.Reading {
	at := trefoil.InstantOf(t)
	n := noise{d.seed}
	s := sensor{
		noise: n, unit: n.cell(unitChannel, 0), at: at, profile: &d.kind.profile, out: dst, site: d.site,
		seconds: float64(at) / 1e6, local: float64(at)/1e6 + d.site.clock.Seconds(),
	}
	d.kind.measure(&s)
	return s.out
}

// Channels that all kinds share, above those of any kind.
const (
	unitChannel channel = 1000 + iota
	lifeChannel
	outageChannel
)
