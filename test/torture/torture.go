package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil/mqtt/packet"
	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// options say what a run does.
type options struct {
	binary   string
	dir      string // data of the server
	rounds   int    // ends of the server
	seed     uint64 // of the moments of the kills
	up       [2]time.Duration
	devices  int           // publishers for each QoS and each version
	inFlight int           // messages of a publisher
	drain    time.Duration // for what is on its way after the last kill
	progress func(done int)
}

// run is one torture.
type run struct {
	options
	keeper      *keeper
	api         *trefoiltest.Client
	publishers  []*publisher
	subscribers []*subscriber
}

var versions = []packet.Version{packet.V311, packet.V5}

// torture does a whole run. The error says why it could not be done, or which
// mistake of the server ended it; lost and doubled messages are in the report.
func torture(ctx context.Context, o options) (report, error) {
	start := time.Now()
	r := &run{options: o, keeper: &keeper{
		binary: o.binary, dir: o.dir, up: o.up, random: rand.New(rand.NewPCG(o.seed, 0)),
	}}
	if err := r.keeper.start(ctx); err != nil {
		return report{}, err
	}
	err := r.prepare(ctx)
	if err == nil {
		err = r.torment(ctx)
	}
	var out report
	if err == nil {
		out, err = r.verify(ctx)
	}
	out.rounds, out.starting, out.stopped, out.took = o.rounds, r.keeper.starting, r.keeper.stopped, time.Since(start)
	if err = errors.Join(err, r.keeper.kill()); err != nil {
		err = fmt.Errorf("%w; the server wrote:\n%s", err, r.keeper.latest.Output())
	}
	return out, err
}

// prepare makes the devices and the clients.
func (r *run) prepare(ctx context.Context) (err error) {
	if r.api, err = r.keeper.server.Admin(ctx); err != nil {
		return err
	}
	for _, v := range versions {
		for qos := byte(1); qos <= 2; qos++ {
			id := fmt.Sprintf("backend-%d-%d", v, qos)
			r.subscribers = append(r.subscribers, newSubscriber(identity{id, "admin", r.api.Token, v}, qos))
			for i := range r.devices {
				d, err := r.api.CreateDevice(ctx, fmt.Sprintf("device-%d-%d-%d", v, qos, i))
				if err != nil {
					return fmt.Errorf("create a device: %w", err)
				}
				r.publishers = append(r.publishers, r.publisher(d, v, qos))
			}
		}
	}
	return nil
}

// measuredBefore is how long ago readings with a time of their own were
// measured: long enough that every start of the server moves them to chunks,
// so that kills meet that too.
const measuredBefore = 3 * time.Hour

func (r *run) publisher(d trefoiltest.Device, v packet.Version, qos byte) *publisher {
	return &publisher{
		who: identity{d.ID, d.ID, d.Token, v}, device: d.ID, qos: qos, window: r.inFlight,
		base: time.Now().Add(-measuredBefore).UnixMilli(),
		reached: func() int {
			least := r.subscribers[0].last(d.ID)
			for _, s := range r.subscribers[1:] {
				least = min(least, s.last(d.ID))
			}
			return least
		},
	}
}

// torment kills the server while the clients are at work, and returns when
// everything has arrived, or when nothing more does.
func (r *run) torment(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer stop(nil) // before the wait
	addr := r.keeper.server.MQTT
	work := func(run func(context.Context, string) error) {
		clients.Go(func() {
			if err := run(ctx, addr); err != nil {
				stop(err)
			}
		})
	}
	for _, s := range r.subscribers {
		work(s.run)
	}
	for _, s := range r.subscribers {
		select {
		case <-s.ready:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for _, p := range r.publishers {
		work(p.run)
	}
	if err := r.killOften(ctx); err != nil {
		return err
	}
	for _, p := range r.publishers {
		p.stop()
	}
	return r.awaitArrival(ctx)
}

// killOften does the rounds, and leaves the server running.
func (r *run) killOften(ctx context.Context) error {
	wait(ctx, r.up[1])
	if err := r.keeper.kill(); err != nil {
		return err
	}
	for n := 1; n < r.rounds && ctx.Err() == nil; n++ {
		r.progress(n)
		if err := r.keeper.round(ctx); err != nil {
			return errors.Join(context.Cause(ctx), fmt.Errorf("round %d: %w", n, err))
		}
	}
	r.progress(r.rounds)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	starting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return r.keeper.start(starting)
}

// awaitArrival waits until every message is acknowledged and has come to all
// subscribers. What has not when the time is over, is in the report as lost.
func (r *run) awaitArrival(ctx context.Context) error {
	limit, cancel := context.WithTimeout(ctx, r.drain)
	defer cancel()
	for !r.arrived() && limit.Err() == nil {
		wait(limit, beat)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (r *run) arrived() bool {
	for _, p := range r.publishers {
		if sent, open := p.state(); len(open) > 0 || p.reached() < sent {
			return false
		}
	}
	return true
}
