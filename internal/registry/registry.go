// Package registry knows the devices: who they are, by what token they prove
// it, what kind they are of, and whether they are connected.
//
// The database holds the truth, and all of it that is asked often is mirrored
// in memory: a login of a device, a list or a search reads no table. A mirror
// changes only after the commit that holds the change.
package registry

import (
	"context"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Writer runs changes of rows inside the next commit.
type Writer interface {
	// Do runs fn inside the next commit and returns after that is durable. An
	// error means that nothing of fn is stored. When ctx ends, Do takes fn
	// back, unless its commit is on its way. fn may run several times.
	Do(ctx context.Context, fn func(ctx context.Context, w store.Writer) error) error
}

// Options are what a [Registry] needs.
type Options struct {
	Rows   store.Querier // reads what is committed
	Writer Writer
	Now    func() time.Time
	Log    *slog.Logger
}

// Registry holds devices, their tokens, their presence, and the profiles. It
// may be used by many goroutines at once.
type Registry struct {
	rows   store.Querier
	writer Writer
	now    func() time.Time
	log    *slog.Logger

	// changes serialises changes of one device, from the check to the update
	// of the mirror, while changes of different devices share commits.
	changes    [64]sync.Mutex
	seed       maphash.Seed
	profilesMu sync.Mutex // the same for profiles

	mu       sync.RWMutex // guards what follows
	devices  map[trefoil.DeviceID]*entry
	sorted   []trefoil.DeviceID // the keys of devices
	owners   map[tokenHash]trefoil.DeviceID
	profiles map[string]Profile
	online   int

	presence presenceQueue
	watchers watchers
}

// entry is the mirror of one device.
type entry struct {
	device trefoil.Device
	search string // lower case of what a search looks at
	tokens []tokenRow

	leaving bool // a deletion is on its way
}

// Open loads everything. Devices that were online when the process ended
// become offline with reason "server stopped"; that is stored as soon as
// [Registry.Run] runs.
func Open(ctx context.Context, o Options) (*Registry, error) {
	r := &Registry{
		rows: o.Rows, writer: o.Writer, now: o.Now, log: o.Log,
		seed:     maphash.MakeSeed(),
		devices:  make(map[trefoil.DeviceID]*entry),
		owners:   make(map[tokenHash]trefoil.DeviceID),
		profiles: make(map[string]Profile),
		presence: newPresenceQueue(),
	}
	if err := r.load(ctx); err != nil {
		return nil, fmt.Errorf("load devices: %w", err)
	}
	return r, nil
}

func (r *Registry) load(ctx context.Context) error {
	devices, err := selectDevices(ctx, r.rows)
	if err != nil {
		return err
	}
	now := r.instant()
	for _, d := range devices {
		if d.Presence.Online {
			d.Presence = trefoil.Presence{Reason: trefoil.ReasonShutdown, Since: now}
			r.presence.put(d.ID, d.Presence)
		}
		r.devices[d.ID] = newEntry(d)
		r.sorted = append(r.sorted, d.ID)
	}
	slices.Sort(r.sorted)
	if err := r.loadTokens(ctx); err != nil {
		return err
	}
	r.profiles, err = selectProfiles(ctx, r.rows)
	return err
}

func (r *Registry) loadTokens(ctx context.Context) error {
	tokens, err := selectTokens(ctx, r.rows)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		if e := r.devices[t.device]; e != nil {
			e.tokens = append(e.tokens, t)
			r.owners[t.hash] = t.device
		}
	}
	return nil
}

func (r *Registry) instant() trefoil.Instant { return trefoil.InstantOf(r.now()) }

// lock serialises changes of the device with others of the same one.
func (r *Registry) lock(id trefoil.DeviceID) (unlock func()) {
	m := &r.changes[maphash.String(r.seed, string(id))%uint64(len(r.changes))]
	m.Lock()
	return m.Unlock
}

// do writes. Its error means that the mirror must stay as it is.
func (r *Registry) do(ctx context.Context, what string, fn func(context.Context, store.Writer) error) error {
	if err := r.writer.Do(ctx, fn); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
