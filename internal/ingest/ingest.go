// Package ingest makes messages durable: a bounded queue, the one commit loop
// that owns all writes of the process, and the ledger of what was received,
// stored and dropped. DESIGN.md has the reasons.
package ingest

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// Write is something that must become durable.
type Write struct {
	// Message has readings to store, or is nil.
	Message *trefoil.Message

	// Rows changes rows in the same transaction as the message, or is nil.
	// An error undoes what it wrote and refuses the whole write. It may run
	// more than once, because a failed commit is tried again, so all that it
	// does must be done with w.
	Rows func(ctx context.Context, w store.Writer) error

	// Done is called exactly once: with the number of the commit when the
	// write is durable, or with an error when it is not stored. It is called
	// by the commit loop and must not block. May be nil.
	Done func(trefoil.Seq, error)

	gate *gate // of a caller who may leave before the write is tried, or nil
}

func (w Write) weight() int {
	if w.Message == nil {
		return writeWeight
	}
	return writeWeight + len(w.Message.Readings)
}

func (w Write) done(seq trefoil.Seq, err error) {
	if w.Done != nil {
		w.Done(seq, err)
	}
}

// ErrFull refuses a write that does not wait while the queue is full.
var ErrFull = &trefoil.Error{Code: trefoil.CodeTooMany, Message: "the ingest queue is full; try again later"}

var (
	errStopped   = &trefoil.Error{Code: trefoil.CodeUnavailable, Message: "the server is stopping; try again"}
	errAbandoned = &trefoil.Error{Code: trefoil.CodeUnavailable, Message: "the caller did not wait for it"}
	errUnknown   = &trefoil.Error{Code: trefoil.CodeNotFound, Message: "the device does not exist (any more)"}
)

// Observer learns of commits. It is called by the commit loop after every
// commit, in order, also after one without messages. It must not block, and
// may keep neither the slice nor the messages.
type Observer interface {
	Committed(seq trefoil.Seq, at trefoil.Instant, stored []*trefoil.Message)
}

// Meter takes the measurements of the commit loop. It must not block.
type Meter interface {
	Committed(took time.Duration, messages, readings int)
	CommitFailed()
	Dropped(reason trefoil.DropReason, messages int64)
}

// Config is what a [Loop] is made of.
type Config struct {
	Store  store.Store
	Ledger *Ledger
	Meter  Meter
	Log    *slog.Logger
	Now    func() time.Time

	// Known reports whether a device exists. It is asked by the commit loop
	// for every message right before it is appended.
	Known func(trefoil.DeviceID) bool

	// Observers are called after every commit, in this order.
	Observers []Observer

	// QueueWeight bounds the queue: a write weighs 4, a reading 1. Default
	// 131,072, about 10 MB.
	QueueWeight int
}

// Loop is the commit loop with its queue. Make it with [New], run it with
// [Loop.Run].
type Loop struct {
	Config
	queue    *queue
	messages sync.Pool // of *trefoil.Message
	failing  atomic.Pointer[failure]
	stop     chan struct{} // closed by Stop
	stopOnce sync.Once

	// Only for the goroutine in Run.
	outcomes     []error
	stored       []*trefoil.Message
	upkeepFailed bool
}

type failure struct{ err error }

// New makes a loop. Nothing is committed before Run.
func New(c Config) *Loop {
	if c.QueueWeight <= 0 {
		c.QueueWeight = 131_072
	}
	return &Loop{Config: c, queue: newQueue(c.QueueWeight), stop: make(chan struct{})}
}

// NewMessage gives an empty message, perhaps with the memory of an earlier
// one. Give it to Accept, which takes it back.
func (l *Loop) NewMessage() *trefoil.Message {
	if m, ok := l.messages.Get().(*trefoil.Message); ok {
		return m
	}
	return new(trefoil.Message)
}

func (l *Loop) recycle(m *trefoil.Message) {
	clear(m.Readings) // lets go of the texts
	*m = trefoil.Message{Readings: m.Readings[:0]}
	l.messages.Put(m)
}

// Accept hands over a write. It waits while the queue is full; w.Done is
// called exactly once in any case, also when ctx ends before there is room.
// The message belongs to the loop from now on.
func (l *Loop) Accept(ctx context.Context, w Write) {
	l.checkClock(w.Message)
	if err := l.queue.put(ctx, w); err != nil {
		w.done(0, unavailable(err))
	}
}

// TryAccept is Accept for those who do not wait: with a full queue it returns
// an error with code too_many, and w.Done is not called.
func (l *Loop) TryAccept(w Write) error {
	l.checkClock(w.Message)
	return l.queue.tryPut(w)
}

func unavailable(err error) error {
	var known *trefoil.Error
	if errors.As(err, &known) {
		return err
	}
	return &trefoil.Error{Code: trefoil.CodeUnavailable, Message: "not stored in time; try again", Cause: err}
}

// Put hands over a message and waits until it is durable. With a full queue
// it fails at once with code too_many. When ctx ends first, the error has code
// unavailable, and the message may be stored all the same: sending it again
// is safe, as readings of the same time replace each other.
func (l *Loop) Put(ctx context.Context, m *trefoil.Message) (trefoil.Seq, error) {
	result := make(chan outcome, 1)
	err := l.TryAccept(Write{Message: m, Done: func(seq trefoil.Seq, err error) { result <- outcome{seq, err} }})
	if err != nil {
		return 0, err
	}
	return wait(ctx, result)
}

// Do runs fn inside the next commit and returns when that is durable. See
// [Write].Rows for what fn may do. When ctx ends, Do returns with code
// unavailable and fn is not in any commit; only while a commit with it is on
// its way, Do waits for the end of that.
func (l *Loop) Do(ctx context.Context, fn func(ctx context.Context, w store.Writer) error) error {
	result := make(chan outcome, 1)
	g := new(gate)
	l.Accept(ctx, Write{Rows: fn, gate: g, Done: func(seq trefoil.Seq, err error) { result <- outcome{seq, err} }})
	select {
	case r := <-result:
		return r.err
	case <-ctx.Done():
	}
	for {
		left, ok := g.abandon()
		if ok {
			return unavailable(ctx.Err())
		}
		select {
		case r := <-result:
			return r.err
		case <-left:
		}
	}
}

type outcome struct {
	seq trefoil.Seq
	err error
}

func wait(ctx context.Context, result <-chan outcome) (trefoil.Seq, error) {
	select {
	case r := <-result:
		return r.seq, r.err
	case <-ctx.Done():
		return 0, unavailable(ctx.Err())
	}
}

// futureLimit is how far ahead of ours a device's clock may be.
const futureLimit = time.Hour

// checkClock gives readings from the far future the time of their arrival and
// notes it in the ledger.
func (l *Loop) checkClock(m *trefoil.Message) {
	if m == nil {
		return
	}
	limit, wrong := m.Received.Add(futureLimit), trefoil.Instant(0)
	for i := range m.Readings {
		if r := &m.Readings[i]; r.Time > limit {
			wrong, r.Time = r.Time, m.Received
		}
	}
	if wrong == 0 {
		return
	}
	l.Ledger.Drop(trefoil.Drop{
		Device: m.Device, Reason: trefoil.NoteClock, Time: m.Received,
		Detail: "the device's time was " + wrong.Time().Format(time.RFC3339) + ", stored with the time of arrival",
	})
}

// Depth gives the weight that waits in the queue, and its bound.
func (l *Loop) Depth() (waiting, limit int) { return l.queue.depth(), l.queue.limit }

// Health is nil while commits succeed, and otherwise why the last one failed.
func (l *Loop) Health() error {
	if f := l.failing.Load(); f != nil {
		return f.err
	}
	return nil
}

// Stop refuses further writes and lets Run return when all accepted ones are
// settled. A store that fails is given no second chance from now on.
func (l *Loop) Stop() {
	l.stopOnce.Do(func() {
		close(l.stop)
		l.queue.close()
	})
}
