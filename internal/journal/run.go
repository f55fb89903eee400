package journal

import (
	"context"
	"errors"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// batch bounds the events of one commit, so that a fleet which reconnects at
// once does not keep readings waiting: an event takes about 40 µs of it.
const batch = 250

// retryAfter keeps a failing store from being asked all the time.
const retryAfter = time.Second

// lastFlush bounds how long the end of Run waits for the store.
const lastFlush = 5 * time.Second

// Run stores events until ctx ends, and then what is left. The commit loop
// must still run when it returns.
func (j *Journal) Run(ctx context.Context) error {
	for {
		select {
		case <-j.wake:
			if err := j.flush(ctx); err != nil && ctx.Err() == nil {
				j.Log.Warn("connection events are not stored yet, trying again", "error", err)
				j.pause(ctx)
			}
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
			defer cancel()
			return j.flush(last)
		}
	}
}

func (j *Journal) pause(ctx context.Context) {
	t := time.NewTimer(retryAfter)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	j.signal()
}

// flush stores everything that is pending, batch by batch.
func (j *Journal) flush(ctx context.Context) error {
	for {
		taken := j.take()
		if len(taken) == 0 {
			return nil
		}
		rows, err := j.number(ctx, taken)
		if err == nil {
			err = j.Writer.Do(ctx, func(ctx context.Context, w store.Writer) error { return upsertEvents(ctx, w, rows) })
		}
		if err != nil {
			j.giveBack(taken)
			return err
		}
		j.settle(rows)
	}
}

// take gives the events of some devices, about a batch of them.
func (j *Journal) take() map[trefoil.DeviceID][]Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	taken, n := make(map[trefoil.DeviceID][]Event), 0
	for id, events := range j.pending {
		if n += len(events); n > batch && len(taken) > 0 {
			break
		}
		taken[id] = events
		delete(j.pending, id)
	}
	return taken
}

// giveBack puts what could not be stored before what came meanwhile.
func (j *Journal) giveBack(taken map[trefoil.DeviceID][]Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for id, events := range taken {
		for _, newer := range j.pending[id] {
			events = appendEvent(events, newer)
		}
		j.pending[id] = events
	}
}

// row is an event with its place.
type row struct {
	device trefoil.DeviceID
	number int64
	Event
}

// number gives the events their places behind those that are stored. It does
// not change any state, because the rows are not stored yet.
func (j *Journal) number(ctx context.Context, taken map[trefoil.DeviceID][]Event) ([]row, error) {
	states, err := j.statesOf(ctx, taken)
	if err != nil {
		return nil, err
	}
	var rows []row
	for id, events := range taken {
		s := states[id]
		if s.refusal != nil && s.refusal.repeatedBy(events[0]) && len(events) < Bound { // else its place is taken again below
			rows = append(rows, row{id, s.number, s.refusal.with(events[0])})
			events = events[1:]
		}
		for _, e := range events {
			s.number++
			rows = append(rows, row{id, s.number, e})
		}
	}
	return rows, nil
}

// statesOf looks up where the devices stand; those that had no event since
// the start are asked of the store.
func (j *Journal) statesOf(ctx context.Context, taken map[trefoil.DeviceID][]Event) (map[trefoil.DeviceID]state, error) {
	states := make(map[trefoil.DeviceID]state, len(taken))
	var unknown []trefoil.DeviceID
	j.stateMu.Lock()
	for id := range taken {
		if s := j.states[id]; s != nil {
			states[id] = *s
		} else {
			unknown = append(unknown, id)
		}
	}
	j.stateMu.Unlock()
	if len(unknown) == 0 {
		return states, nil
	}
	numbers, err := selectNumbers(ctx, j.Rows, unknown)
	if err != nil {
		return nil, errors.Join(errors.New("read the numbers of events"), err)
	}
	for _, id := range unknown {
		states[id] = state{number: numbers[id]}
	}
	return states, nil
}

// settle remembers what is stored now.
func (j *Journal) settle(rows []row) {
	j.stateMu.Lock()
	defer j.stateMu.Unlock()
	for i := range rows {
		r := &rows[i]
		s := j.states[r.device]
		if s == nil {
			s = new(state)
			j.states[r.device] = s
		}
		s.number, s.refusal = r.number, nil
		if r.Kind == Refused {
			refusal := r.Event // not a pointer that keeps all rows
			s.refusal = &refusal
		}
	}
}
