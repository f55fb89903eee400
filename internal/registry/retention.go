package registry

import (
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Retention says how long readings are kept. They go by whole months, so that
// some stay up to a month longer.
type Retention struct {
	Raw    string `json:"raw,omitempty" example:"90d" doc:"The readings: a number with h, d, w or y, or forever; forever when left out"`
	Hourly string `json:"hourly,omitempty" example:"5y" doc:"Summaries of hours, when the readings are gone; none when left out"`
}

func (r *Retention) validate(at string) error {
	if r == nil {
		return nil
	}
	spans := map[string]trefoil.Span{}
	for _, f := range []struct{ name, text string }{{"raw", r.Raw}, {"hourly", r.Hourly}} {
		if f.text == "" {
			continue
		}
		span, err := trefoil.ParseSpan(f.text)
		if err != nil {
			return trefoil.Errorf(trefoil.CodeInvalid, "%s.%s: %s", at, f.name, err)
		}
		spans[f.name] = span
	}
	if hourly, ok := spans["hourly"]; ok && hourly <= spans["raw"] && r.Raw != "" && spans["raw"] != trefoil.Forever {
		return trefoil.Errorf(trefoil.CodeInvalid, "%s.hourly: %s is not longer than raw, which is %s; leave it out or make it longer", at, r.Hourly, r.Raw)
	}
	return nil
}

// rule gives the form that the store understands.
func (r *Retention) rule() store.Retention {
	raw, _ := trefoil.ParseSpan(r.Raw)       // it was validated; "" is 0
	hourly, _ := trefoil.ParseSpan(r.Hourly) // the same
	return Rule(raw, hourly)
}

// Rule gives the form of a retention that the store understands.
func Rule(raw, hourly trefoil.Span) store.Retention {
	if raw == 0 || raw == trefoil.Forever {
		return store.Retention{}
	}
	return store.Retention{Raw: time.Duration(raw), Hourly: time.Duration(hourly)}
}

// Keep says how long the readings of a series are kept: as the metric of its
// device's profile says, else as the profile, else as otherwise.
func (r *Registry) Keep(id trefoil.DeviceID, metric string, otherwise store.Retention) store.Retention {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e := r.devices[id]
	if e == nil {
		return otherwise
	}
	p, ok := r.profiles[e.device.Profile]
	if !ok {
		return otherwise
	}
	if m, ok := p.Metrics[metric]; ok && m.Retention != nil {
		return m.Retention.rule()
	}
	if p.Retention != nil {
		return p.Retention.rule()
	}
	return otherwise
}
