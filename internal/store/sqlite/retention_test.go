package sqlite_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

const dayLong = 24 * time.Hour

// months is a store with a reading every hour of 2026 up to now for each of
// its devices, all of it in chunks.
type months struct {
	*sqlite.Store
	t    *testing.T
	dir  string
	now  time.Time
	keep map[trefoil.DeviceID]store.Retention
	log  bytes.Buffer
}

func newMonths(t *testing.T, devices int, until time.Time) *months {
	t.Helper()
	m := &months{t: t, dir: t.TempDir(), now: until, keep: map[trefoil.DeviceID]store.Retention{}}
	m.Store = m.open(m.dir, nil)
	for at := time.Date(2026, 1, 1, 0, 30, 0, 0, time.UTC); at.Before(until); at = at.Add(dayLong) {
		var list []*trefoil.Message
		for d := range devices {
			msg := &trefoil.Message{Device: deviceOf(d)}
			for h := range 24 {
				at := trefoil.InstantOf(at.Add(time.Duration(h) * time.Hour))
				msg.Readings = append(msg.Readings,
					trefoil.Reading{Metric: "m", Time: at, Value: trefoil.NumberValue(float64(h))},
					trefoil.Reading{Metric: "m", Time: at + 60_000_000, Value: trefoil.NumberValue(float64(h + 2))})
			}
			list = append(list, msg)
		}
		commit(t, m.Store, list...)
	}
	upkeep(t, m.Store)
	return m
}

func deviceOf(i int) trefoil.DeviceID { return trefoil.DeviceID(fmt.Sprintf("dev-%d", i)) }

func (m *months) open(dir string, edit func(*store.Options)) *sqlite.Store {
	m.t.Helper()
	o := store.Options{
		Now:  func() time.Time { return m.now },
		Keep: func(id trefoil.DeviceID, _ string) store.Retention { return m.keep[id] },
	}
	if edit != nil {
		edit(&o)
	}
	s, err := sqlite.Open(m.t.Context(), dir, o, slog.New(slog.NewTextHandler(&m.log, nil)))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { s.Close() })
	return s
}

// later lets the next pass of retention do its work.
func (m *months) later(d time.Duration) {
	m.t.Helper()
	m.now = m.now.Add(d)
	upkeep(m.t, m.Store)
}

// months of which there are readings of the device.
func (m *months) have(device int) (list []string) {
	m.t.Helper()
	for _, x := range readAll(m.t, m.Store, deviceOf(device), "m") {
		if month := x.Time.Time().Format("01"); !slices.Contains(list, month) {
			list = append(list, month)
		}
	}
	return list
}

func (m *months) dropped() []store.Dropped {
	m.t.Helper()
	list, err := store.ListDropped(m.t.Context(), m.Rows(), 100)
	if err != nil {
		m.t.Fatal(err)
	}
	return list
}

func wantMonths(t *testing.T, what string, got []string, want string) {
	t.Helper()
	if strings.Join(got, " ") != want {
		t.Errorf("%s: got readings of months %v, want %s", what, got, want)
	}
}

func TestAMonthThatNobodyKeepsGoesAsAWholeAndIsNoted(t *testing.T) {
	m := newMonths(t, 3, time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC))
	for d := range 3 {
		m.keep[deviceOf(d)] = store.Retention{Raw: 60 * dayLong}
	}
	m.later(2 * time.Hour) // March 11 is 60 days ago: January and February go
	for d := range 3 {
		wantMonths(t, string(deviceOf(d)), m.have(d), "03 04 05")
	}
	if got, want := partitions(t, m.Store), []string{"chunk_202603", "chunk_202604", "chunk_202605"}; !slices.Equal(got, want) {
		t.Errorf("partitions: got %v, want %v", got, want)
	}
	list := m.dropped()
	if len(list) != 2 || list[1].Part != "chunk_202601" || list[1].Readings != 3*31*48 || list[1].Series != 3 || list[1].Reason != store.DropAge {
		t.Errorf("entries: got %+v, want one for each of two months with all readings of three series", list)
	}
	if !strings.Contains(m.log.String(), "dropped by retention") {
		t.Errorf("log: got %q, want a warning", m.log.String())
	}
	if st, err := m.Stats(t.Context()); err != nil || st.Readings != int64(3*len(readAll(t, m.Store, "dev-0", "m"))) {
		t.Errorf("stats: got %d readings, %v", st.Readings, err)
	}
}

func TestSeriesOfOneMonthAreKeptForDifferentTimes(t *testing.T) {
	m := newMonths(t, 3, time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC))
	m.keep[deviceOf(0)] = store.Retention{Raw: 30 * dayLong}
	m.keep[deviceOf(1)] = store.Retention{Raw: 90 * dayLong}
	m.later(2 * time.Hour)
	wantMonths(t, "30 days", m.have(0), "04 05")
	wantMonths(t, "90 days", m.have(1), "02 03 04 05")
	wantMonths(t, "for ever", m.have(2), "01 02 03 04 05")
	m.keep[deviceOf(2)] = store.Retention{Raw: dayLong}
	m.later(2 * time.Hour)
	wantMonths(t, "a day from now on", m.have(2), "05")
	if got := partitions(t, m.Store); slices.Contains(got, "chunk_202601") {
		t.Errorf("partitions: got %v, want January gone", got)
	}
}

func TestOfReadingsThatAreGoneSummariesOfHoursStay(t *testing.T) {
	m := newMonths(t, 2, time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC))
	m.keep[deviceOf(0)] = store.Retention{Raw: 30 * dayLong, Hourly: store.Forever}
	m.later(2 * time.Hour)
	wantMonths(t, "raw", m.have(0), "02 03")
	for _, s := range []*sqlite.Store{m.Store, m.open(copyFiles(t, m.dir), nil)} {
		for step, want := range map[time.Duration]int{time.Hour: 31 * 24, dayLong: 31, 5 * time.Minute: 0} {
			count, blocks, sum := 0, 0, 0.0
			r := store.ReadRequest{
				Device: "dev-0", Metric: "m", Resolution: step,
				From: trefoil.InstantOf(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)), To: trefoil.InstantOf(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)),
			}
			err := s.Read(t.Context(), r, func(b store.Block) error {
				blocks++
				count += b.Count
				sum += b.Sum
				return nil
			})
			if step == 5*time.Minute && blocks == 0 && err == nil {
				continue
			}
			if err != nil || step == time.Hour && blocks != want && blocks != 31 || count != 31*48 || sum != 31*2*(23*12+24) {
				t.Errorf("in %s: got %d blocks with %d readings of sum %v, %v; want %d readings", step, blocks, count, sum, err, 31*48)
			}
		}
	}
	late := &trefoil.Message{Device: "dev-0", Readings: []trefoil.Reading{{Metric: "m", Time: trefoil.InstantOf(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)), Value: trefoil.NumberValue(1)}}}
	commit(t, m.Store, late)
	m.later(2 * time.Hour)
	if list := m.dropped(); len(list) != 2 || list[0].Reason != store.DropLate || list[1].What != store.DropRaw || list[1].Readings != 31*48 {
		t.Errorf("entries: got %+v, want one for the raw readings of January and one for the late one", list)
	}
	m.keep[deviceOf(0)] = store.Retention{Raw: dayLong, Hourly: 30 * dayLong}
	m.later(2 * time.Hour)
	if st, err := m.Stats(t.Context()); err != nil || st.Readings != int64(len(readAll(t, m.Store, "dev-0", "m"))+len(readAll(t, m.Store, "dev-1", "m"))) {
		t.Errorf("stats: got %d readings, %v; want those that can be read", st.Readings, err)
	}
}

func TestAFullDiskLetsTheOldestMonthGoIfThatHelps(t *testing.T) {
	m := newMonths(t, 2, time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC))
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	disk := store.Disk{Total: 100_000_000, Free: 50_000_000}
	m.Store = m.open(m.dir, func(o *store.Options) {
		o.Disk, o.MaxDisk = func() (store.Disk, error) { return disk, nil }, 0.8
	})
	m.later(2 * time.Minute)
	wantMonths(t, "half full", m.have(0), "01 02 03 04 05")
	disk.Free = 0
	m.later(2 * time.Minute)
	wantMonths(t, "filled by others", m.have(0), "01 02 03 04 05")
	if !strings.Contains(m.log.String(), "others fill it") {
		t.Errorf("log: got %q, want it to say that others fill the disk", m.log.String())
	}
	var free int64
	if err := m.Rows().QueryRowContext(t.Context(), "select f.freelist_count * p.page_size from pragma_freelist_count f, pragma_page_size p").Scan(&free); err != nil {
		t.Fatal(err)
	}
	disk.Free = 20_000_000 - free - 1
	m.later(2 * time.Minute)
	wantMonths(t, "a little over", m.have(0), "02 03 04 05")
	m.later(2 * time.Minute) // what was dropped is free inside of the file now
	wantMonths(t, "after that", m.have(0), "02 03 04 05")
	if list := m.dropped(); len(list) != 1 || list[0].Reason != store.DropDisk {
		t.Errorf("entries: got %+v, want one for the disk", list)
	}
}

func TestACrashBetweenAnyTwoStepsOfRetentionLosesNothingThatIsKept(t *testing.T) {
	m := newMonths(t, 4, time.Date(2026, 4, 10, 12, 0, 0, 0, time.UTC))
	for d := range 3 {
		m.keep[deviceOf(d)] = store.Retention{Raw: 40 * dayLong}
	}
	m.keep[deviceOf(1)] = store.Retention{Raw: 40 * dayLong, Hourly: store.Forever}
	kept := readAll(t, m.Store, "dev-3", "m")
	m.now = m.now.Add(2 * time.Hour)
	steps := 0
	for more := true; more && steps < 500; steps++ {
		var err error
		if more, err = m.Maintain(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
		if steps%3 != 0 && more {
			continue
		}
		crashed := m.open(copyFiles(t, m.dir), nil)
		if got := readAll(t, crashed, "dev-3", "m"); !slices.Equal(got, kept) {
			t.Fatalf("step %d: got %d readings of the series that is kept, want %d", steps, len(got), len(kept))
		}
		upkeep(t, crashed) // goes on where the other one was killed
		if got, want := firstMonthOf(t, crashed, "dev-0"), "03"; got != want {
			t.Fatalf("step %d: first month after the crash is %s, want %s", steps, got, want)
		}
		if err := crashed.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m.keep[deviceOf(3)] = m.keep[deviceOf(0)]
	m.later(2 * time.Hour)
	wantMonths(t, "at last", m.have(3), "03 04")
}

func firstMonthOf(t *testing.T, s *sqlite.Store, id trefoil.DeviceID) string {
	t.Helper()
	return readAll(t, s, id, "m")[0].Time.Time().Format("01")
}

// BenchmarkDropMonth measures what a month costs that goes, and the longest
// time for which a step of it keeps commits waiting.
func BenchmarkDropMonth(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		f := newSensors(b, b.TempDir(), 100)
		for range 31*24 + 10 {
			f.hour(b)
		}
		size, err := f.s.Storage(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if err := f.s.Close(); err != nil {
			b.Fatal(err)
		}
		dir := f.dir
		f.now = f.now.Add(40 * dayLong)
		s := open(b, dir, store.Options{Now: func() time.Time { return f.now.Add(time.Since(f.opened)) }, Keep: func(trefoil.DeviceID, string) store.Retention { return store.Retention{Raw: dayLong} }})
		b.StartTimer()
		longest, steps := time.Duration(0), 0
		for more := true; more; steps++ {
			began := time.Now()
			if more, err = s.Maintain(b.Context(), 2*time.Millisecond); err != nil {
				b.Fatal(err)
			}
			longest = max(longest, time.Since(began))
		}
		b.ReportMetric(float64(size.Tables[0].Bytes)/1e6, "MB")
		b.ReportMetric(float64(steps), "steps")
		b.ReportMetric(longest.Seconds()*1e3, "ms-longest")
	}
}
