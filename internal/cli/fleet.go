package cli

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/client"
	"github.com/trefoil-iot/trefoil/internal/simulate"
)

// registrars is how many devices are registered at the same time: enough to
// share the commits of the server.
const registrars = 32

// register makes profiles and devices on the server as any user would, and
// gives the devices with their tokens. A device that is there already keeps
// its readings and gets a new token.
func register(ctx context.Context, server *client.Client, devices []simulate.Device, p *progress) ([]simulate.Member, error) {
	for _, profile := range simulate.Profiles() {
		if err := server.PutProfile(ctx, profile.Name, profile); err != nil {
			return nil, fmt.Errorf("make profile %s: %w", profile.Name, err)
		}
	}
	members := make([]simulate.Member, len(devices))
	done := 0
	var mu sync.Mutex
	err := parallel(ctx, len(devices), registrars, func(ctx context.Context, i int) error {
		token, err := registerOne(ctx, server, devices[i])
		if err != nil {
			return fmt.Errorf("add device %s: %w", devices[i].ID, err)
		}
		members[i] = simulate.Member{Device: devices[i], Token: token}
		mu.Lock()
		defer mu.Unlock()
		done++
		p.show("%d of %d devices are registered", done, len(devices))
		return nil
	})
	p.done()
	return members, err
}

func registerOne(ctx context.Context, server *client.Client, d simulate.Device) (string, error) {
	made, err := server.CreateDevice(ctx, client.NewDevice{
		ID: string(d.ID), Name: d.Name, Tags: d.Tags, Profile: d.Profile,
	})
	if trefoil.CodeOf(err) == trefoil.CodeConflict {
		return server.NewToken(ctx, string(d.ID))
	}
	return made.Token, err
}

// parallel calls fn for 0 to n-1, several at a time, and gives the first
// error, which also ends the others.
func parallel(ctx context.Context, n, workers int, fn func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan int)
	var all sync.WaitGroup
	for range min(workers, n) {
		all.Go(func() {
			for i := range queue {
				if ctx.Err() != nil {
					continue
				}
				if err := fn(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		queue <- i
	}
	close(queue)
	all.Wait()
	return context.Cause(ctx)
}

// dialer opens connections to the MQTT port at the address.
func dialer(address string) func(context.Context) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	return func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }
}

// historyStep is the distance of the records that are sent for the past.
const historyStep = time.Minute

// backfill sends what the devices measured since the time, and says that it
// is simulated.
func backfill(ctx context.Context, f *simulate.Fleet, since time.Time, p *progress) error {
	now := time.Now()
	what := fmt.Sprintf("Simulated history of the last %s, one record a minute, over MQTT", span(now.Sub(since)))
	err := f.Backfill(ctx, since, now, historyStep, func(done, total int) {
		p.show("%s: %d of %d devices", what, done, total)
	})
	if err == nil {
		p.show("%s: %d readings, stored in %.1f s", what, f.Stats().Readings, time.Since(now).Seconds())
	}
	p.done()
	return err
}

// watch shows what the fleet does until ctx ends: a line that stays in place
// on a terminal, and a line now and then in a pipe.
func (t *terminal) watch(ctx context.Context, f *simulate.Fleet) {
	every := time.Second
	if !t.interactive() {
		every = time.Minute
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	p := t.progress()
	before := f.Stats()
	for {
		select {
		case <-ctx.Done():
			p.done()
			return
		case <-tick.C:
			s := f.Stats()
			p.show("%s", statsLine(s, before, every))
			if !p.live {
				p.done()
			}
			before = s
		}
	}
}

// statsLine says how the fleet is, with the rate since before.
func statsLine(s, before simulate.Stats, d time.Duration) string {
	return fmt.Sprintf("%d of %d devices connected, %.0f messages/s, %d acknowledged as stored, p99 %s",
		s.Connected, s.Devices, float64(s.Acked-before.Acked)/d.Seconds(), s.Acked, inMillis(s.LatencyP99)) + mishaps(s)
}

// summary says what the fleet did in all.
func summary(s simulate.Stats, d time.Duration) string {
	return fmt.Sprintf("%d devices in %s: %d messages with %d readings sent, %d acknowledged as stored; PUBACK p50 %s, p99 %s, max %s",
		s.Devices, span(d), s.Sent, s.Readings, s.Acked,
		inMillis(s.LatencyP50), inMillis(s.LatencyP99), inMillis(s.LatencyMax)) + mishaps(s)
}

func inMillis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// mishaps names only what happened.
func mishaps(s simulate.Stats) string {
	line := ""
	for _, c := range []struct {
		n    int64
		what string
	}{
		{s.Losses, "lost connections"},
		{s.Failed, "failed attempts"},
		{s.Refused, "refused messages"},
		{s.Forgotten, "forgotten records"},
	} {
		if c.n > 0 {
			line += fmt.Sprintf(", %d %s", c.n, c.what)
		}
	}
	return line
}
