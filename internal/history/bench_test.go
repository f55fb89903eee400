package history_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// The questions of a dashboard, asked of one sensor with a year of readings
// ten seconds apart and of a hundred with two days, quietly and while 20,000
// readings a second are stored.
func BenchmarkQuery(b *testing.B) {
	s, end := filled(b)
	h := history.New(s)
	const day = 24 * time.Hour
	questions := []struct {
		name    string
		devices int
		rows    int // at least
		query   history.Query
	}{
		{"day raw", 1, 8600, history.Query{From: end.Add(-day), To: end}},
		{"day in 5 minutes", 1, 288, history.Query{From: end.Add(-day), To: end, Step: history.Every(5 * time.Minute)}},
		{"year in days", 1, 365, history.Query{From: end.Add(-365 * day), To: end, Step: history.Days(1)}},
		{"year in 2000 points", 1, 1500, history.Query{From: end.Add(-365 * day), To: end, Points: 2000}},
		{"100 devices, day in hours", 100, 24, history.Query{From: end.Add(-day), To: end, Step: history.Every(time.Hour)}},
		{"latest of 100 devices", 100, 0, history.Query{}},
	}
	for _, busy := range []bool{false, true} {
		for _, q := range questions {
			b.Run(fmt.Sprintf("%s/busy=%v", q.name, busy), func(b *testing.B) {
				if busy {
					defer write(b, s, end)()
				}
				for b.Loop() {
					for i := range q.devices {
						q.query.Devices = history.Of(device(i))
						askOnce(b, s, h, q.query, q.rows)
					}
				}
			})
		}
	}
}

func askOnce(b *testing.B, s *sqlite.Store, h *history.History, q history.Query, rows int) {
	if rows == 0 {
		if list, err := s.Latest(context.Background(), q.Devices[0].Device); err != nil || len(list) == 0 {
			b.Fatalf("latest: got %d readings, %v", len(list), err)
		}
		return
	}
	a, err := h.Query(context.Background(), q)
	if err != nil {
		b.Fatal(err)
	}
	if got := len(a[0].T); got < rows {
		b.Fatalf("got %d rows, want at least %d", got, rows)
	}
}

func device(i int) trefoil.DeviceID { return trefoil.DeviceID(fmt.Sprintf("dev-%03d", i)) }

// filled makes the store and gives the time at which it ends.
func filled(b *testing.B) (*sqlite.Store, trefoil.Instant) {
	b.Helper()
	now := start.Time() // of the upkeep, which joins the chunks of past days
	clock := func() time.Time { return now }
	s, err := sqlite.Open(b.Context(), b.TempDir(), store.Options{Now: clock}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	r := rand.New(rand.NewPCG(1, 2))
	const days = 366
	for d := range days {
		now = now.Add(24 * time.Hour)
		devices := 1
		if d >= days-2 {
			devices = 100
		}
		for i := range devices {
			list := make([]trefoil.Reading, 8640)
			for k := range list {
				at := start + trefoil.Instant(d*8640+k)*10*second + trefoil.Instant(r.IntN(40))*1000
				v := 21 + 4*math.Sin(float64(k)/8640*2*math.Pi) + 0.03*r.NormFloat64()
				list[k] = reading("temperature", at, math.Round(v*100)/100)
			}
			putFor(b, s, device(i), list...)
		}
	}
	return s, start + days*86400*second
}

// write stores 20,000 readings a second after end until the function that it
// returns is called.
func write(b *testing.B, s *sqlite.Store, end trefoil.Instant) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for i := trefoil.Instant(0); ; i++ {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if err := writeOnce(s, end+i*second); err != nil {
				b.Error(err)
				return
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// writeOnce commits a reading of each of 100 devices.
func writeOnce(s *sqlite.Store, at trefoil.Instant) error {
	tx, err := s.Begin(context.Background())
	if err != nil {
		return err
	}
	for k := range 100 {
		m := &trefoil.Message{Device: device(k), Readings: []trefoil.Reading{reading("temperature", at, float64(k))}}
		if err := tx.Append(m); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if _, err := tx.Commit(context.Background()); err != nil {
		return err
	}
	_, err = s.Maintain(context.Background(), time.Millisecond)
	return err
}
