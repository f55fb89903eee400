// Package live carries committed readings to the people who watch.
//
// The commit loop tells the [Hub] of every commit, the registry tells it of
// every device that came, went or changed. A [Viewer] is one who watches: it
// holds subscriptions and takes one [Frame] after the other. WebSocket and
// server-sent events are two ways to send these frames; see [Hub.WebSocket]
// and [Hub.Events].
//
// DESIGN.md in this directory has the invariants: what a viewer sees is the
// truth without gap and without double, and a viewer who is slow costs a
// bounded queue and nobody's time.
package live

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Protocol is the name of the protocol: the WebSocket subprotocol, and the
// value of "protocol" in the first frame.
const Protocol = "trefoil.live.v1"

// Latest is what the hub asks of the store: the newest reading of every
// metric of a device, and the number of the last commit. A reading that
// Latest gives belongs to a commit that is not above the Seq asked afterwards.
type Latest interface {
	Latest(ctx context.Context, device trefoil.DeviceID) ([]trefoil.Reading, error)
	Seq() trefoil.Seq
}

// Directory is what the hub asks of the registry. It is never called while
// the hub holds a lock, and never from [Hub.DeviceChanged].
type Directory interface {
	// Device gives a device as it is now.
	Device(id trefoil.DeviceID) (trefoil.Device, bool)
	// Match gives all devices that have every one of the tags ("site" or
	// "site:roanoke"); without tags, all devices. Any order.
	Match(tags []string) []trefoil.DeviceID
}

// Deps is what a hub needs. Store and Devices must be set; zero values of the
// others mean the defaults that are named here.
type Deps struct {
	Store   Latest
	Devices Directory
	Log     *slog.Logger     // default: discards
	Now     func() time.Time // default: time.Now
	Limits  Limits
}

// Limits bounds what viewers may take. Zero means the default.
type Limits struct {
	Ring          int           // bytes of encoded readings kept for resuming; default 8 MiB
	Queue         int           // bytes that wait for one subscription before it skips; default 512 KiB
	Subscriptions int           // of one viewer; default 64
	Devices       int           // named in one subscription; default 10,000
	Linger        time.Duration // how long readings are kept for a viewer who went; default 1 min
	Window        time.Duration // shortest time between two wake-ups of the viewers; default 2 ms
}

func (l Limits) withDefaults() Limits {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	def(&l.Ring, 8<<20)
	def(&l.Queue, 512<<10)
	def(&l.Subscriptions, 64)
	def(&l.Devices, 10_000)
	if l.Linger <= 0 {
		l.Linger = time.Minute
	}
	if l.Window <= 0 {
		l.Window = 2 * time.Millisecond
	}
	return l
}

// Event says that a device was created, changed (name, tags, presence) or
// removed. Device is the device as it is after the change; of a removed one
// only the id counts.
type Event struct {
	Device  trefoil.Device
	Removed bool
}

// Identity is who watches.
type Identity struct {
	User       string // name of the user or service, for logs and [Hub.Kick]
	Credential string // what it came with (id of a session or token, never the secret), for [Hub.Kick]

	// Allowed says whether the viewer may see a device; nil allows all. It
	// must be quick and give the same answer for the life of the viewer: cut
	// the viewer with [Hub.Kick] when rights change.
	Allowed func(trefoil.DeviceID) bool

	// Cookie is set if a browser sent the credential by itself. The page that
	// opens a WebSocket must then be of this server (Origin).
	Cookie bool

	// Until ends the viewer when its credential expires; zero means never.
	Until time.Time
}

// Stats counts, for /metrics and /api/v1/stats. The totals grow from the
// start of the process.
type Stats struct {
	Viewers       int
	Subscriptions int
	RingBytes     int    // held for resuming
	Rows          uint64 // rows encoded
	Readings      uint64 // readings encoded
	Frames        uint64 // frames given to viewers
	Skipped       uint64 // readings that slow viewers did not get
	Resets        uint64 // subscriptions that had to begin anew
}

// Reasons why [Viewer.Next] ends.
var (
	ErrKicked  = &trefoil.Error{Code: trefoil.CodeUnauthorized, Message: "the credential is no longer valid"}
	ErrExpired = &trefoil.Error{Code: trefoil.CodeUnauthorized, Message: "the credential has expired"}
	ErrClosing = &trefoil.Error{Code: trefoil.CodeUnavailable, Message: "the server is stopping"}
	errGone    = &trefoil.Error{Code: trefoil.CodeUnavailable, Message: "the viewer is closed"}
)

// Hub knows who watches what. Make it with [New]; all methods may be called
// from any goroutine, but [Hub.Committed] only from one at a time.
type Hub struct {
	store   Latest
	devices Directory
	log     *slog.Logger
	now     func() time.Time
	limits  Limits

	serving sync.WaitGroup // viewers that are not closed
	reads   chan struct{}  // a place in it is the right to read from the store

	// mu may be taken by whoever holds no lock of a viewer; a viewer's own
	// lock may be taken under it. Nothing that waits is done under either.
	mu       sync.Mutex
	seq      trefoil.Seq   // of the last commit that was told
	advanced chan struct{} // closed at the next commit; nil if nobody waits
	index    index
	ring     ring
	viewers  map[*Viewer]struct{}
	touched  []*subscription // got rows in the commit that is being told
	narrowed []narrowed      // filtered forms of the row that is being staged
	alarm    alarm
	stats    Stats
	closed   bool
}

// readers is how many viewers read their snapshots from the store at a time:
// a crowd that comes back after a restart must not take every core.
const readers = 2

// New makes a hub.
func New(d Deps) *Hub {
	h := &Hub{
		store:   d.Store,
		devices: d.Devices,
		log:     d.Log,
		now:     d.Now,
		limits:  d.Limits.withDefaults(),
		seq:     d.Store.Seq(),
		viewers: map[*Viewer]struct{}{},
		reads:   make(chan struct{}, readers),
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.now == nil {
		h.now = time.Now
	}
	h.ring.limit = h.limits.Ring
	h.index = newIndex()
	h.alarm = newAlarm(h)
	return h
}

// Committed tells the hub that commit seq is durable and what it held. The
// commit loop calls it once after every commit, in order, also after one
// without messages. It never waits for a viewer, and keeps nothing of messages
// after it returns, except the ids of devices.
func (h *Hub) Committed(seq trefoil.Seq, at trefoil.Instant, messages []*trefoil.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq = seq
	if h.advanced != nil {
		close(h.advanced)
		h.advanced = nil
	}
	if !h.index.active() {
		return
	}
	for _, m := range messages {
		h.announce(seq, at, m)
	}
	h.handOver()
	h.sweep()
}

// DeviceChanged tells the hub of one change of one device. The registry calls
// it after the commit of the change, for each device in the order of its
// changes, and the removal of a device before readings of a successor with
// the same id are committed. It may be called with locks held: it does not
// call back.
func (h *Hub) DeviceChanged(e Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.index.active() {
		return
	}
	h.changed(e)
}

// Seq gives the number of the last commit that the hub was told of.
func (h *Hub) Seq() trefoil.Seq {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seq
}

// Stats gives the counts of now.
func (h *Hub) Stats() Stats {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.stats
	s.Viewers = len(h.viewers)
	s.RingBytes = h.ring.bytes
	for v := range h.viewers {
		n, frames, skipped := v.counts()
		s.Subscriptions += n
		s.Frames += frames
		s.Skipped += skipped
	}
	return s
}

// Kick ends every viewer for whom match is true, and says how many they were.
// It is called when a credential is revoked, a session ends, or rights change.
// match must not call the hub.
func (h *Hub) Kick(match func(Identity) bool) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for v := range h.viewers {
		if match(v.who) {
			v.end(ErrKicked)
			n++
		}
	}
	return n
}

// Close ends all viewers with a hint to come back, refuses new ones, and
// waits until every [Viewer.Close] was called or ctx ends.
func (h *Hub) Close(ctx context.Context) error {
	h.mu.Lock()
	h.closed = true
	h.alarm.stop()
	for v := range h.viewers {
		v.end(ErrClosing)
	}
	h.mu.Unlock()

	done := make(chan struct{})
	go func() {
		h.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return trefoil.Errorf(trefoil.CodeUnavailable, "waiting for live viewers to leave: %w", ctx.Err())
	}
}
