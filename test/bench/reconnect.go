package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

const (
	storm   = 10_000 // devices that come back at once
	dialers = 500    // of them at the same moment
	makers  = 50     // requests that create devices at the same moment
)

// reconnect measures how long a fleet takes to come back after a restart.
func (b *bench) reconnect(ctx context.Context) error {
	s, dir, err := b.server(ctx)
	if err != nil {
		return err
	}
	defer s.Kill()
	admin, err := s.Admin(ctx)
	if err != nil {
		return err
	}
	devices := make([]trefoiltest.Device, storm)
	err = parallel(makers, storm, func(i int) (err error) {
		devices[i], err = admin.CreateDevice(ctx, fmt.Sprintf("storm-%d", i))
		return err
	})
	if err != nil {
		return err
	}
	if err := s.Stop(ctx); err != nil {
		return err
	}
	if s, err = b.serverOn(ctx, dir); err != nil {
		return err
	}
	defer s.Kill()
	conns := make([]*wire.Conn, storm)
	var again atomic.Int64
	start := time.Now()
	err = parallel(dialers, storm, func(i int) error {
		for {
			d := devices[i]
			var err error
			conns[i], err = wire.Connect(s.MQTT, wire.Login{Version: wire.V311, ClientID: d.ID, Username: d.ID, Password: d.Token, KeepAlive: 600})
			if err == nil || time.Since(start) > time.Minute {
				return err
			}
			again.Add(1)
			time.Sleep(100 * time.Millisecond)
		}
	})
	took := time.Since(start)
	for _, c := range conns {
		if c != nil {
			_ = c.Close() // it has served
		}
	}
	if err != nil {
		return fmt.Errorf("%w; the server printed:\n%s", err, s.Output())
	}
	b.report.atMost("10,000 devices reconnect after a restart", took.Seconds(), 10, "s",
		fmt.Sprintf("%d at a time; %d tried again", dialers, again.Load()))
	return s.Stop(ctx)
}

// parallel calls do for 0 … n-1 from some goroutines and returns an error of
// one of them.
func parallel(goroutines, n int, do func(i int) error) error {
	var next atomic.Int64
	var all sync.WaitGroup
	faults := make(chan error, goroutines)
	for range goroutines {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					faults <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(faults)
	return <-faults
}
