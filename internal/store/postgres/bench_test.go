package postgres_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

const benchStart = trefoil.Instant(1_767_225_600_000_000) // 2026-01-01 UTC

func sensorID(i int) trefoil.DeviceID { return trefoil.DeviceID(fmt.Sprintf("dev-%05d", i)) }

// fleet gives messages of four readings of devices from start on, one each.
func fleet(start, devices, of int, at trefoil.Instant) []*trefoil.Message {
	list := make([]*trefoil.Message, devices)
	for i := range list {
		m := &trefoil.Message{Device: sensorID((start + i) % of)}
		for _, metric := range []string{"temperature", "humidity", "pressure", "voltage"} {
			m.Readings = append(m.Readings, trefoil.Reading{Metric: metric, Time: at + trefoil.Instant(i), Value: trefoil.NumberValue(float64(i%1000) / 100)})
		}
		list[i] = m
	}
	return list
}

// BenchmarkAppend commits batches of 5,000 readings of 40,000 series.
func BenchmarkAppend(b *testing.B) {
	s := open(b, cluster.Database(b), store.Options{})
	const perCommit, devices = 1250, 10_000
	for i := 0; i < devices; i += perCommit { // the series are there
		commit(b, s, fleet(i, perCommit, devices, benchStart)...)
	}
	n := 0
	for b.Loop() {
		n++
		b.StopTimer()
		batch := fleet(n*perCommit, perCommit, devices, benchStart+trefoil.Instant(n)*1_000_000)
		b.StartTimer()
		commit(b, s, batch...)
	}
	b.ReportMetric(float64(n)*perCommit*4/b.Elapsed().Seconds(), "readings/s")
}

// ramp stores n readings of a device, one every ten seconds.
func ramp(b testing.TB, s store.Store, id trefoil.DeviceID, n int) {
	const perCommit = 20_000
	for start := 0; start < n; start += perCommit {
		m := &trefoil.Message{Device: id}
		for i := start; i < min(start+perCommit, n); i++ {
			v := math.Round(100*(21+4*math.Sin(float64(i)/1400))) / 100
			m.Readings = append(m.Readings, trefoil.Reading{
				Metric: "temperature", Time: benchStart + trefoil.Instant(i)*10_000_000, Value: trefoil.NumberValue(v),
			})
		}
		commit(b, s, m)
	}
}

func BenchmarkQueries(b *testing.B) {
	url := cluster.Database(b)
	s := open(b, url, store.Options{})
	const day = 24 * time.Hour
	const perDay = 8640
	ramp(b, s, sensorID(0), 365*perDay)
	for i := 1; i < 100; i++ {
		ramp(b, s, sensorID(i), perDay)
	}
	end := benchStart.Add(365 * day)
	run := func(name string, from, to trefoil.Instant, step time.Duration, devices, blocks int) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for i := range devices {
					r := store.ReadRequest{Device: sensorID(i), Metric: "temperature", From: from, To: to, Resolution: step}
					if got := countBlocks(b, s, r); got != blocks {
						b.Fatalf("got %d blocks, want %d", got, blocks)
					}
				}
			}
		})
	}
	run("day raw", end.Add(-day), end, 0, 1, 9)
	run("day in 5 minutes", end.Add(-day), end, 5*time.Minute, 1, 288)
	run("day in hours", end.Add(-day), end, time.Hour, 1, 24)
	run("year in days", benchStart, end, day, 1, 365)
	run("100 devices, day in hours", benchStart, benchStart.Add(day), time.Hour, 100, 24)
}

func countBlocks(b *testing.B, s store.Store, r store.ReadRequest) int {
	b.Helper()
	n := 0
	err := s.Read(context.Background(), r, func(store.Block) error {
		n++
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func BenchmarkLatestOf10000Devices(b *testing.B) {
	s := open(b, cluster.Database(b), store.Options{})
	commit(b, s, fleet(0, 10_000, 10_000, benchStart)...)
	b.Run("in one query", func(b *testing.B) {
		for b.Loop() {
			rows, err := s.Rows().QueryContext(context.Background(), "select device, metric, time, value from latest_readings")
			if err != nil {
				b.Fatal(err)
			}
			n := 0
			for rows.Next() {
				n++
			}
			if err := rows.Err(); err != nil || n != 40_000 {
				b.Fatalf("got %d rows, %v; want 40000", n, err)
			}
		}
	})
	b.Run("one by one", func(b *testing.B) {
		for b.Loop() {
			for i := range 10_000 {
				if list, err := s.Latest(context.Background(), sensorID(i)); err != nil || len(list) != 4 {
					b.Fatalf("got %d readings, %v; want 4", len(list), err)
				}
			}
		}
	})
}
