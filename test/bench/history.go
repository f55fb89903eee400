package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// history measures queries over what a sensor sends every ten seconds, and the
// disk that it takes.
func (b *bench) history(ctx context.Context) error {
	s, dir, err := b.server(ctx)
	if err != nil {
		return err
	}
	defer s.Kill()
	admin, err := s.Admin(ctx)
	if err != nil {
		return err
	}
	if _, err := admin.CreateDevice(ctx, "sensor"); err != nil {
		return err
	}
	const day = 24 * time.Hour
	now := time.Now().Truncate(10 * time.Second)
	if err := fill(ctx, admin, now.Add(-365*day), now); err != nil {
		return err
	}
	for _, q := range []struct {
		name, query string
		goal        float64
	}{
		{"one day in 5-minute buckets", "from=-24h&step=5m", 2},
		{"one year in days", "from=-365d&step=24h", 20},
	} {
		took, err := b.ask(ctx, admin, q.query)
		if err != nil {
			return err
		}
		b.report.atMost(q.name, took, q.goal, "ms", "over HTTP; a reading every 10 s")
	}
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return b.disk(ctx, dir)
}

// disk measures the bytes that a reading takes after a clean stop.
func (b *bench) disk(ctx context.Context, dir string) error {
	s, err := b.serverOn(ctx, dir)
	if err != nil {
		return err
	}
	defer s.Kill()
	admin, err := s.Admin(ctx)
	if err != nil {
		return err
	}
	var about struct {
		Store struct{ Bytes, Readings float64 }
	}
	if err := admin.Call(ctx, "GET", "/api/v1/server", nil, &about); err != nil {
		return err
	}
	b.report.atMost("disk per reading, a year of a 10 s sensor", about.Store.Bytes/about.Store.Readings, 2, "bytes",
		fmt.Sprintf("%s readings in %s MB, everything included", rounded(about.Store.Readings), rounded(about.Store.Bytes/mb)))
	return s.Stop(ctx)
}

// fill posts one reading per ten seconds.
func fill(ctx context.Context, admin *trefoiltest.Client, from, to time.Time) error {
	const perPost = 2000
	var batch []map[string]float64
	for at := from; at.Before(to); at = at.Add(10 * time.Second) {
		x := float64(at.Unix()) / 86400 * 2 * math.Pi
		value := math.Round((21+3*math.Sin(x)+math.Sin(x*97)/5)*100) / 100
		batch = append(batch, map[string]float64{"ts": float64(at.UnixMilli()), "temperature": value})
		if len(batch) < perPost && at.Add(10*time.Second).Before(to) {
			continue
		}
		if err := admin.Call(ctx, "POST", "/api/v1/devices/sensor/telemetry", batch, nil); err != nil {
			return err
		}
		batch = batch[:0]
	}
	return nil
}

// ask is the median time of the query in milliseconds.
func (b *bench) ask(ctx context.Context, admin *trefoiltest.Client, query string) (float64, error) {
	var took []float64
	for range 4 * b.rounds {
		start := time.Now()
		text, err := admin.Text(ctx, "/api/v1/devices/sensor/history?metric=temperature&"+query)
		if err != nil {
			return 0, err
		}
		if len(text) < 1000 {
			return 0, fmt.Errorf("an answer with little in it: %s", text)
		}
		took = append(took, milliseconds(time.Since(start)))
	}
	return median(took), nil
}
