package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Profile is a kind of device: what its metrics mean. It restricts nothing; a
// device may send metrics that its profile does not know.
type Profile struct {
	Name        string            `json:"name"`
	Label       string            `json:"label,omitempty" doc:"Name for people"`
	Description string            `json:"description,omitempty"`
	Metrics     map[string]Metric `json:"metrics,omitempty" doc:"By name of the metric"`
	Retention   *Retention        `json:"retention,omitempty" doc:"How long readings of all metrics are kept that do not say it themselves; the server's setting when left out"`
}

// Metric says what a metric means and how to show it.
type Metric struct {
	Label    string   `json:"label,omitempty" doc:"Name for people"`
	Unit     string   `json:"unit,omitempty" example:"°C"`
	Min      *float64 `json:"min,omitempty" doc:"Smallest value to expect"`
	Max      *float64 `json:"max,omitempty" doc:"Largest value to expect"`
	Decimals *int     `json:"decimals,omitempty" doc:"Digits after the point to show, 0 to 6"`
	Cadence  string   `json:"cadence,omitempty" example:"10s" doc:"How often a reading is expected, such as 10s or 5m"`
	Kind     string   `json:"kind,omitempty" enum:"number,boolean,text" doc:"Type of the values; number when left out"`

	Retention *Retention `json:"retention,omitempty" doc:"How long readings are kept; that of the profile when left out"`
}

// Bounds of a profile.
const (
	maxProfiles       = 1000
	maxProfileMetrics = 500
	maxLabel          = 200
	maxDescription    = 2000
	maxUnit           = 32
)

// Validate checks the profile; an error names the field and what is allowed.
func (p Profile) Validate() error {
	if _, err := trefoil.ParseDeviceID(p.Name); err != nil {
		return trefoil.Errorf(trefoil.CodeInvalid, "profile name %q: allowed are 1 to 64 characters of A-Z a-z 0-9 . _ - without a dot at the start", p.Name)
	}
	if err := checkText("label", p.Label, maxLabel); err != nil {
		return err
	}
	if len(p.Description) > maxDescription || !utf8.ValidString(p.Description) {
		return trefoil.Errorf(trefoil.CodeInvalid, "description: at most %d bytes of UTF-8 are allowed", maxDescription)
	}
	if len(p.Metrics) > maxProfileMetrics {
		return trefoil.Errorf(trefoil.CodeInvalid, "metrics: %d entries; at most %d are allowed", len(p.Metrics), maxProfileMetrics)
	}
	if err := p.Retention.validate("retention"); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(p.Metrics)) {
		if _, err := trefoil.ParseMetric(name); err != nil {
			return err
		}
		if err := p.Metrics[name].validate("metrics." + name); err != nil {
			return err
		}
	}
	return nil
}

func (m Metric) validate(at string) error {
	if err := checkText(at+".label", m.Label, maxLabel); err != nil {
		return err
	}
	if err := checkText(at+".unit", m.Unit, maxUnit); err != nil {
		return err
	}
	if err := m.Retention.validate(at + ".retention"); err != nil {
		return err
	}
	switch {
	case m.Min != nil && m.Max != nil && *m.Min >= *m.Max:
		return trefoil.Errorf(trefoil.CodeInvalid, "%s: min %v is not below max %v", at, *m.Min, *m.Max)
	case m.Decimals != nil && (*m.Decimals < 0 || *m.Decimals > 6):
		return trefoil.Errorf(trefoil.CodeInvalid, "%s.decimals: %d; allowed are 0 to 6", at, *m.Decimals)
	case !slices.Contains([]string{"", "number", "boolean", "text"}, m.Kind):
		return trefoil.Errorf(trefoil.CodeInvalid, "%s.kind: %q; allowed are number, boolean, text", at, m.Kind)
	case m.Cadence == "":
		return nil
	}
	if d, err := time.ParseDuration(m.Cadence); err != nil || d <= 0 {
		return trefoil.Errorf(trefoil.CodeInvalid, "%s.cadence: %q; allowed are durations above zero such as 500ms, 10s, 5m, 1h", at, m.Cadence)
	}
	return nil
}

func checkText(at, s string, limit int) error {
	if len(s) > limit || !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' }) {
		return trefoil.Errorf(trefoil.CodeInvalid, "%s: at most %d bytes of UTF-8 without control characters are allowed", at, limit)
	}
	return nil
}

// Profiles gives all profiles by name. They must not be changed.
func (r *Registry) Profiles() []Profile {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.profiles), func(a, b Profile) int { return strings.Compare(a.Name, b.Name) })
}

// Profile gives one profile. It must not be changed.
func (r *Registry) Profile(name string) (Profile, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if p, ok := r.profiles[name]; ok {
		return p, nil
	}
	return Profile{}, trefoil.Errorf(trefoil.CodeNotFound, "no profile %q", name)
}

func (r *Registry) hasProfile(name string) bool {
	_, err := r.Profile(name)
	return err == nil
}

// PutProfile creates or replaces the profile of that name.
func (r *Registry) PutProfile(ctx context.Context, p Profile) error {
	if err := p.Validate(); err != nil {
		return err
	}
	doc, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode profile: %w", err)
	}
	r.profilesMu.Lock()
	defer r.profilesMu.Unlock()
	if len(r.Profiles()) >= maxProfiles && !r.hasProfile(p.Name) {
		return trefoil.Errorf(trefoil.CodeConflict, "there are %d profiles already, the largest number", maxProfiles)
	}
	err = r.do(ctx, "store profile", func(ctx context.Context, w store.Writer) error {
		_, err := w.ExecContext(ctx, "insert into profile (name, doc) values ($1, $2) on conflict (name) do update set doc = excluded.doc", p.Name, string(doc))
		return err
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.profiles[p.Name] = p
	return nil
}

// DeleteProfile removes a profile. One that devices have is a conflict.
func (r *Registry) DeleteProfile(ctx context.Context, name string) error {
	r.profilesMu.Lock()
	defer r.profilesMu.Unlock()
	if _, err := r.Profile(name); err != nil {
		return err
	}
	if n := r.countProfile(name); n > 0 {
		return trefoil.Errorf(trefoil.CodeConflict, "%d devices have profile %q; give them another one first", n, name)
	}
	err := r.do(ctx, "delete profile", func(ctx context.Context, w store.Writer) error {
		_, err := w.ExecContext(ctx, "delete from profile where name = $1", name)
		return err
	})
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.profiles, name)
	return nil
}

func (r *Registry) countProfile(name string) (n int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, e := range r.devices {
		if e.device.Profile == name {
			n++
		}
	}
	return n
}

func selectProfiles(ctx context.Context, q store.Querier) (map[string]Profile, error) {
	rows, err := q.QueryContext(ctx, "select name, doc from profile")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[string]Profile)
	for rows.Next() {
		var name, doc string
		if err := rows.Scan(&name, &doc); err != nil {
			return nil, err
		}
		var p Profile
		if err := json.Unmarshal([]byte(doc), &p); err != nil {
			return nil, fmt.Errorf("profile %s: %w", name, err)
		}
		p.Name = name
		all[name] = p
	}
	return all, rows.Err()
}
