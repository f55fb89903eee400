package sqlite_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// sensors writes days of readings of sensors with 0.01 resolution, a reading
// every ten seconds with some milliseconds of jitter, hour by hour with the
// upkeep of a running server.
type sensors struct {
	s       *sqlite.Store
	now     time.Time
	rand    *rand.Rand
	drift   []float64
	written int
	dir     string
	opened  time.Time
}

const benchStart = trefoil.Instant(1_767_225_600_000_000) // 2026-01-01 UTC

func newSensors(b testing.TB, dir string, n int) *sensors {
	f := &sensors{dir: dir, opened: time.Now(), now: benchStart.Time(), rand: rand.New(rand.NewPCG(1, 2)), drift: make([]float64, n)}
	f.s = open(b, dir, store.Options{Now: func() time.Time { return f.now }})
	return f
}

func sensorID(i int) trefoil.DeviceID { return trefoil.DeviceID(fmt.Sprintf("dev-%05d", i)) }

// hour writes one hour of every sensor.
func (f *sensors) hour(b testing.TB) {
	const perCommit = 20
	for k := 0; k < 360; k += perCommit {
		var list []*trefoil.Message
		for i := range f.drift {
			m := &trefoil.Message{Device: sensorID(i)}
			for j := range perCommit {
				m.Readings = append(m.Readings, f.reading(i, f.now.Add(time.Duration(k+j)*10*time.Second)))
			}
			list = append(list, m)
		}
		commit(b, f.s, list...)
		f.written += perCommit * len(list)
	}
	f.now = f.now.Add(time.Hour)
	f.maintain(b)
}

func (f *sensors) reading(i int, at time.Time) trefoil.Reading {
	f.drift[i] += f.rand.NormFloat64() * 0.01
	day := at.Sub(benchStart.Time()).Hours() / 24
	v := 21 + 4*math.Sin(2*math.Pi*day) + f.drift[i] + 0.03*f.rand.NormFloat64()
	at = at.Add(time.Duration(f.rand.IntN(40)) * time.Millisecond)
	return trefoil.Reading{Metric: "temperature", Time: trefoil.InstantOf(at), Value: trefoil.NumberValue(math.Round(v*100) / 100)}
}

func (f *sensors) maintain(b testing.TB) {
	for more := true; more; {
		var err error
		if more, err = f.s.Maintain(context.Background(), time.Second); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDiskPerReading(b *testing.B) {
	for b.Loop() {
		f := newSensors(b, b.TempDir(), 20)
		for range 30 * 24 {
			f.hour(b)
		}
		if err := f.s.Close(); err != nil { // folds the write-ahead log into the file
			b.Fatal(err)
		}
		stats, err := f.s.Stats(context.Background())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(stats.Bytes)/float64(f.written), "bytes/reading")
		b.ReportMetric(float64(f.written)/b.Elapsed().Seconds(), "readings/s")
	}
}

func BenchmarkLatestOf10000Devices(b *testing.B) {
	s := open(b, b.TempDir(), store.Options{HeadBytes: 1 << 40})
	commit(b, s, fleet(10_000, 10_000)...)
	for b.Loop() {
		for i := range 10_000 {
			if list, err := s.Latest(context.Background(), sensorID(i)); err != nil || len(list) != 4 {
				b.Fatalf("got %d readings, %v; want 4", len(list), err)
			}
		}
	}
}

// fleet makes messages of devices with four metrics each, round robin, ten
// seconds apart per device.
func fleet(devices, messages int) []*trefoil.Message {
	names := []string{"temperature", "humidity", "pressure", "battery"}
	out := make([]*trefoil.Message, messages)
	for i := range out {
		at := trefoil.Instant(1_700_000_000_000_000 + int64(i/devices)*10_000_000 + int64(i%devices)*1000)
		m := &trefoil.Message{Device: trefoil.DeviceID(fmt.Sprintf("dev-%05d", i%devices)), Via: trefoil.ViaMQTT, Received: at}
		for k, name := range names {
			m.Readings = append(m.Readings, trefoil.Reading{Metric: name, Time: at, Value: trefoil.NumberValue(float64((i*7+k*13)%3000) / 100)})
		}
		out[i] = m
	}
	return out
}

// Each size runs twice: with appends alone, and with the upkeep that a server
// does between commits, in the default memory.
func BenchmarkAppendWithFsync(b *testing.B) {
	for _, size := range []int{20, 250, 1250, 4000} {
		for _, upkeep := range []bool{false, true} {
			b.Run(fmt.Sprintf("batch=%d/upkeep=%v", size, upkeep), func(b *testing.B) {
				began := time.Now()
				options := store.Options{Now: func() time.Time { // that of the readings, so that only memory makes upkeep due
					return time.Unix(1_700_000_000, 0).Add(time.Since(began))
				}}
				if !upkeep {
					options.HeadBytes = 1 << 40
				}
				s := open(b, b.TempDir(), options)
				appendFleet(b, s, size, upkeep)
			})
		}
	}
}

func appendFleet(b *testing.B, s *sqlite.Store, size int, upkeep bool) {
	list := fleet(10_000, 20_000)
	next := 0
	b.ReportAllocs()
	for b.Loop() {
		batch := make([]*trefoil.Message, size)
		for i := range batch {
			batch[i] = list[next%len(list)]
			next++
			for k := range batch[i].Readings {
				batch[i].Readings[k].Time += 20_000_000
			}
		}
		commit(b, s, batch...)
		if !upkeep {
			continue
		}
		if _, err := s.Maintain(b.Context(), 2*time.Millisecond); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(4*next)/b.Elapsed().Seconds(), "readings/s")
}
