package registry

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// NewDevice is what somebody says who creates a device. An empty ID asks for
// a generated one, an empty Name stands for the id.
type NewDevice struct {
	ID      trefoil.DeviceID
	Name    string
	Tags    trefoil.Tags
	Profile string
}

// DeviceChange says what becomes different; nil fields stay as they are. Tags
// are replaced as a whole.
type DeviceChange struct {
	Name    *string
	Tags    *trefoil.Tags
	Profile *string
}

// maxName is the largest length of a device's name in bytes.
const maxName = 200

// Create stores a new device with a first token, which is returned and can
// never be read again. A device with that id is a conflict.
func (r *Registry) Create(ctx context.Context, n NewDevice) (trefoil.Device, string, error) {
	if n.ID == "" {
		n.ID = trefoil.DeviceID("d-" + strings.ToLower(rand.Text()[:12]))
	}
	d := trefoil.Device{ID: n.ID, Name: n.Name, Tags: n.Tags, Profile: n.Profile}
	if _, err := trefoil.ParseDeviceID(string(d.ID)); err != nil {
		return trefoil.Device{}, "", err
	}
	defer r.lock(d.ID)()
	if err := r.complete(&d); err != nil {
		return trefoil.Device{}, "", err
	}
	if r.Has(d.ID) {
		return trefoil.Device{}, "", trefoil.Errorf(trefoil.CodeConflict, "device %q exists already", d.ID)
	}
	d.Created = r.instant()
	d.Updated = d.Created
	token, row := newToken(d.ID, d.Created)
	err := r.do(ctx, "create device", func(ctx context.Context, w store.Writer) error {
		if err := insertDevice(ctx, w, d); err != nil {
			return err
		}
		return insertToken(ctx, w, row)
	})
	if err != nil {
		return trefoil.Device{}, "", err
	}
	r.applyNew(d, row)
	r.watchers.tell(Event{Kind: Created, Device: d})
	return d, token, nil
}

// complete fills in what may be left out and checks everything.
func (r *Registry) complete(d *trefoil.Device) error {
	if d.Name == "" {
		d.Name = string(d.ID)
	}
	if d.Tags == nil {
		d.Tags = trefoil.Tags{}
	}
	switch {
	case len(d.Name) > maxName || !utf8.ValidString(d.Name) || strings.ContainsFunc(d.Name, func(c rune) bool { return c < ' ' }):
		return trefoil.Errorf(trefoil.CodeInvalid, "name: at most %d bytes of UTF-8 without control characters are allowed", maxName)
	case d.Profile != "" && !r.hasProfile(d.Profile):
		return trefoil.Errorf(trefoil.CodeInvalid, "profile %q does not exist; create it with PUT /api/v1/profiles/{name} first", d.Profile)
	}
	return d.Tags.Validate()
}

// Find gives the device. Its tags must not be changed.
func (r *Registry) Find(id trefoil.DeviceID) (trefoil.Device, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if e := r.devices[id]; e != nil {
		return e.device, nil
	}
	return trefoil.Device{}, noDevice(id)
}

// Has reports whether the device exists and is not being deleted: what comes
// from it after the deletion was committed must not begin its series anew.
func (r *Registry) Has(id trefoil.DeviceID) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	e := r.devices[id]
	return e != nil && !e.leaving
}

// Count gives the number of devices and how many of them are online.
func (r *Registry) Count() (total, online int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.devices), r.online
}

func noDevice(id trefoil.DeviceID) error {
	return trefoil.Errorf(trefoil.CodeNotFound, "no device %q", id)
}

// Update changes a device.
func (r *Registry) Update(ctx context.Context, id trefoil.DeviceID, c DeviceChange) (trefoil.Device, error) {
	defer r.lock(id)()
	d, err := r.Find(id)
	if err != nil {
		return trefoil.Device{}, err
	}
	if c.Name != nil {
		d.Name = *c.Name
	}
	if c.Tags != nil {
		d.Tags = *c.Tags
	}
	if c.Profile != nil {
		d.Profile = *c.Profile
	}
	if err := r.complete(&d); err != nil {
		return trefoil.Device{}, err
	}
	// Strictly later, so that two states never share a time of change.
	d.Updated = max(r.instant(), d.Updated+1)
	err = r.do(ctx, "change device", func(ctx context.Context, w store.Writer) error {
		return updateDevice(ctx, w, d)
	})
	if err != nil {
		return trefoil.Device{}, err
	}
	d = r.applyUpdate(d)
	r.watchers.tell(Event{Kind: Updated, Device: d})
	return d, nil
}

// Delete removes a device with its tokens and all its series.
func (r *Registry) Delete(ctx context.Context, id trefoil.DeviceID) error {
	defer r.lock(id)()
	d, err := r.Find(id)
	if err != nil {
		return err
	}
	r.setLeaving(id, true)
	err = r.do(ctx, "delete device", func(ctx context.Context, w store.Writer) error {
		if err := deleteDevice(ctx, w, id); err != nil {
			return err
		}
		if err := w.DropSeries(ctx, id); err != nil {
			return fmt.Errorf("drop series: %w", err)
		}
		return nil
	})
	if err != nil {
		r.setLeaving(id, false)
		return err
	}
	r.applyDelete(id)
	r.watchers.tell(Event{Kind: Deleted, Device: d})
	return nil
}

func newEntry(d trefoil.Device) *entry {
	e := &entry{device: d}
	e.index()
	return e
}

// index prepares the text that searches look at.
func (e *entry) index() {
	var b strings.Builder
	b.WriteString(string(e.device.ID) + "\n" + e.device.Name + "\n" + e.device.Profile)
	for k, v := range e.device.Tags {
		b.WriteString("\n" + k + ":" + v)
	}
	e.search = strings.ToLower(b.String())
}

func (r *Registry) applyNew(d trefoil.Device, t tokenRow) {
	e := newEntry(d)
	e.tokens = []tokenRow{t}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.devices[d.ID] = e
	r.owners[t.hash] = d.ID
	at, _ := slices.BinarySearch(r.sorted, d.ID)
	r.sorted = slices.Insert(r.sorted, at, d.ID)
}

// applyUpdate takes over everything but the presence, which changes on its own.
func (r *Registry) applyUpdate(d trefoil.Device) trefoil.Device {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[d.ID]
	d.Presence = e.device.Presence
	e.device = d
	e.index()
	return d
}

func (r *Registry) setLeaving(id trefoil.DeviceID, leaving bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.devices[id]; e != nil {
		e.leaving = leaving
	}
}

func (r *Registry) applyDelete(id trefoil.DeviceID) {
	r.presence.forget(id)
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.devices[id]
	for _, t := range e.tokens {
		delete(r.owners, t.hash)
	}
	if e.device.Presence.Online {
		r.online--
	}
	delete(r.devices, id)
	if at, ok := slices.BinarySearch(r.sorted, id); ok {
		r.sorted = slices.Delete(r.sorted, at, at+1)
	}
}
