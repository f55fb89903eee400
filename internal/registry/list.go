package registry

import (
	"slices"
	"strings"

	"github.com/trefoil-iot/trefoil"
)

// Query selects devices. The zero Query selects all.
type Query struct {
	Text   string           // part of id, name, profile or a tag, in any case
	Tags   []string         // key:value or key; a device must have all of them
	Online *bool            // only devices that are, or are not, online
	After  trefoil.DeviceID // only ids after this one: where the page before ended
	Limit  int              // largest number of devices; 0 means DefaultLimit
}

// Bounds of [Query].Limit.
const (
	DefaultLimit = 50
	MaxLimit     = 1000
)

// Page is a part of a list, in ascending order of id.
type Page struct {
	Devices []trefoil.Device
	Next    trefoil.DeviceID // After of the next page, or "" when this is the last
	Total   int              // devices that match, on all pages
}

// List gives one page of the devices that match q.
func (r *Registry) List(q Query) Page {
	limit := q.Limit
	if limit <= 0 {
		limit = DefaultLimit
	}
	limit = min(limit, MaxLimit)
	text := strings.ToLower(strings.TrimSpace(q.Text))

	r.mu.RLock()
	defer r.mu.RUnlock()
	var p Page
	for _, id := range r.sorted {
		e := r.devices[id]
		if !e.matches(text, q) {
			continue
		}
		p.Total++
		switch {
		case id <= q.After && q.After != "":
		case len(p.Devices) < limit:
			p.Devices = append(p.Devices, e.device)
		case p.Next == "":
			p.Next = p.Devices[limit-1].ID
		}
	}
	return p
}

func (e *entry) matches(text string, q Query) bool {
	if q.Online != nil && *q.Online != e.device.Presence.Online {
		return false
	}
	if slices.ContainsFunc(q.Tags, func(t string) bool { return !e.device.Tags.Has(t) }) {
		return false
	}
	return text == "" || strings.Contains(e.search, text)
}
