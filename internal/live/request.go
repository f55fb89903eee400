package live

import (
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Request asks for a subscription. Either Devices or Tags says which devices:
// ids, or the one word "*" for all that the viewer may see, or tags that a
// device must all have. "*" together with Tags is the same as Tags alone.
type Request struct {
	ID      string       `json:"id"` // chosen by the viewer, 1 to 64 bytes
	Devices []string     `json:"devices"`
	Tags    []string     `json:"tags"`
	Metrics []string     `json:"metrics"` // none means all
	Since   *trefoil.Seq `json:"since"`   // go on after this commit, if that is possible without a gap
	MaxRate float64      `json:"maxRate"` // frames of readings per second at most; 0 means no limit
}

const (
	maxID      = 64
	maxMetrics = 500
	minRate    = 0.01 // one frame in 100 s
)

// selection is a request that was checked.
type selection struct {
	devices []trefoil.DeviceID // named ones
	all     bool
	tags    []string
	metrics []string
}

func (r *Request) check(maxDevices int) (selection, error) {
	s := selection{tags: r.Tags, metrics: r.Metrics}
	switch {
	case r.ID == "" || len(r.ID) > maxID:
		return s, trefoil.Errorf(trefoil.CodeInvalid, `"id" must name the subscription with 1 to %d bytes`, maxID)
	case len(r.Devices) == 0 && len(r.Tags) == 0:
		return s, trefoil.Errorf(trefoil.CodeInvalid, `"devices" (ids, or ["*"] for all) or "tags" must say what to watch`)
	case len(r.Devices) > maxDevices:
		return s, trefoil.Errorf(trefoil.CodeTooMany, `%d devices in one subscription; at most %d may be named, "*" watches all`, len(r.Devices), maxDevices)
	case len(r.Tags) > trefoil.MaxTags:
		return s, trefoil.Errorf(trefoil.CodeTooMany, "%d tags in one subscription; at most %d are allowed", len(r.Tags), trefoil.MaxTags)
	case len(r.Metrics) > maxMetrics:
		return s, trefoil.Errorf(trefoil.CodeTooMany, "%d metrics in one subscription; at most %d are allowed", len(r.Metrics), maxMetrics)
	case r.MaxRate != 0 && r.MaxRate < minRate:
		return s, trefoil.Errorf(trefoil.CodeInvalid, `"maxRate" is %v frames per second; it must be 0 (no limit) or at least %v`, r.MaxRate, minRate)
	}
	for _, m := range r.Metrics {
		if _, err := trefoil.ParseMetric(m); err != nil {
			return s, err
		}
	}
	return s, s.choose(r.Devices)
}

// choose takes the devices of a request apart.
func (s *selection) choose(devices []string) error {
	seen := make(map[string]struct{}, len(devices))
	for _, d := range devices {
		if d == "*" {
			s.all = true
			continue
		}
		id, err := trefoil.ParseDeviceID(d)
		if err != nil {
			return err
		}
		if _, twice := seen[d]; !twice {
			seen[d] = struct{}{}
			s.devices = append(s.devices, id)
		}
	}
	switch {
	case s.all && len(s.devices) > 0:
		return trefoil.Errorf(trefoil.CodeInvalid, `"devices" has "*" and ids; give one or the other`)
	case len(s.devices) > 0 && len(s.tags) > 0:
		return trefoil.Errorf(trefoil.CodeInvalid, `"devices" and "tags" are both given; subscribe to them one by one`)
	}
	return nil
}

// interval is the shortest time between two frames of readings.
func (r *Request) interval() time.Duration {
	if r.MaxRate == 0 {
		return 0
	}
	return time.Duration(float64(time.Second) / r.MaxRate)
}
