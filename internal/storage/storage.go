// Package storage tells where the disk goes and for how long it lasts, and
// makes copies of the database by schedule.
package storage

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/trefoil-iot/trefoil/internal/store"
)

// Store is what is measured.
type Store interface {
	Stats(ctx context.Context) (store.Stats, error)
	Rows() store.Querier
}

// sizer is a store that can tell about its tables.
type sizer interface {
	Storage(ctx context.Context) (store.Storage, error)
}

// Writer runs changes of rows inside the next commit.
type Writer interface {
	Do(ctx context.Context, fn func(ctx context.Context, w store.Writer) error) error
}

// Options are what a [Meter] needs.
type Options struct {
	Store  Store
	Writer Writer
	Disk   func() (store.Disk, error) // nil where the database is elsewhere
	Now    func() time.Time
	Log    *slog.Logger
}

// Meter measures the database and remembers its size at the end of each day.
type Meter struct{ Options }

// New makes a meter; [Meter.Run] lets it remember.
func New(o Options) *Meter { return &Meter{o} }

// Report is where the disk goes.
type Report struct {
	store.Stats
	store.Storage
	Disk    store.Disk // 0 where it is not known
	Days    []Day      // ascending, at most a year
	Growth  float64    // bytes per day, reusable ones aside; 0 where it is not known yet
	Dropped []store.Dropped
}

// Day is the size at the end of a day, or now for the current one.
type Day struct {
	Day      time.Time // its beginning, UTC
	Bytes    int64
	Reusable int64 // of Bytes
	Readings int64
	Disk     store.Disk
}

// used is what is filled.
func (d Day) used() int64 { return d.Bytes - d.Reusable }

const (
	sampleEvery = time.Hour
	history     = 366 // days in a report
	droppedList = 50  // entries in a report
)

// Run notes the size once an hour until ctx ends.
func (m *Meter) Run(ctx context.Context) error {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		if err := m.note(ctx); err != nil && ctx.Err() == nil {
			m.Log.Warn("could not note the size of the database; it is tried again in an hour", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *Meter) note(ctx context.Context) error {
	d, err := m.today(ctx)
	if err != nil {
		return err
	}
	return m.Writer.Do(ctx, func(ctx context.Context, w store.Writer) error {
		_, err := w.ExecContext(ctx, `insert into storage_day (day, bytes, reusable, readings, total, free) values ($1, $2, $3, $4, $5, $6)
			on conflict (day) do update set bytes = excluded.bytes, reusable = excluded.reusable, readings = excluded.readings,
				total = excluded.total, free = excluded.free`,
			d.Day.Unix()/secondsOfDay, d.Bytes, d.Reusable, d.Readings, d.Disk.Total, d.Disk.Free)
		return err
	})
}

const secondsOfDay = 24 * 60 * 60

// today measures now.
func (m *Meter) today(ctx context.Context) (d Day, err error) {
	r, err := m.measure(ctx)
	if err != nil {
		return Day{}, err
	}
	return r.today(m.Now()), nil
}

func (r Report) today(now time.Time) Day {
	return Day{
		Day: now.UTC().Truncate(24 * time.Hour), Bytes: r.Stats.Bytes, Reusable: r.Reusable, Readings: r.Stats.Readings, Disk: r.Disk,
	}
}

func (m *Meter) measure(ctx context.Context) (r Report, err error) {
	if r.Stats, err = m.Store.Stats(ctx); err != nil {
		return r, fmt.Errorf("measure the database: %w", err)
	}
	if s, ok := m.Store.(sizer); ok {
		if r.Storage, err = s.Storage(ctx); err != nil {
			return r, err
		}
	}
	if m.Disk != nil {
		if r.Disk, err = m.Options.Disk(); err != nil {
			return r, fmt.Errorf("measure the disk: %w", err)
		}
	}
	return r, nil
}

// Report tells where the disk goes.
func (m *Meter) Report(ctx context.Context) (Report, error) {
	r, err := m.measure(ctx)
	if err != nil {
		return r, err
	}
	if r.Days, err = m.days(ctx); err != nil {
		return r, fmt.Errorf("read the sizes of days: %w", err)
	}
	now := r.today(m.Now())
	if n := len(r.Days); n > 0 && r.Days[n-1].Day.Equal(now.Day) {
		r.Days = r.Days[:n-1]
	}
	r.Days = append(r.Days, now)
	r.Growth = growth(r.Days)
	if r.Dropped, err = store.ListDropped(ctx, m.Store.Rows(), droppedList); err != nil {
		return r, fmt.Errorf("read what retention removed: %w", err)
	}
	return r, nil
}

func (m *Meter) days(ctx context.Context) (list []Day, err error) {
	first := m.Now().Unix()/secondsOfDay - history
	rows, err := m.Store.Rows().QueryContext(ctx, "select day, bytes, reusable, readings, total, free from storage_day where day >= $1 order by day", first)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var d Day
		var day int64
		if err := rows.Scan(&day, &d.Bytes, &d.Reusable, &d.Readings, &d.Disk.Total, &d.Disk.Free); err != nil {
			return nil, err
		}
		d.Day = time.Unix(day*secondsOfDay, 0).UTC()
		list = append(list, d)
	}
	return list, rows.Err()
}

// recent is the number of days that growth looks back.
const recent = 14

// growth is the mean growth per day since the last two weeks. Days on which
// retention made the database smaller do not count: what is written each day
// does not become less by that.
func growth(days []Day) float64 {
	days = days[max(0, len(days)-recent-1):]
	sum, n := int64(0), 0.0
	for i := 1; i < len(days); i++ {
		if more := days[i].used() - days[i-1].used(); more >= 0 {
			sum += more
			n += days[i].Day.Sub(days[i-1].Day).Hours() / 24
		}
	}
	if n == 0 {
		return 0
	}
	return float64(sum) / n
}

// FullIn gives the days until the disk is full at the growth of now; ok is
// false while that is not known or the database does not grow.
func (r Report) FullIn() (days float64, ok bool) {
	if r.Disk.Total == 0 || r.Growth < 1 {
		return 0, false
	}
	return float64(r.Disk.Free+r.Reusable) / r.Growth, true
}

// BytesPerReading is what a reading takes, everything included; 0 without
// readings.
func (r Report) BytesPerReading() float64 {
	if r.Stats.Readings <= 0 {
		return 0
	}
	return float64(r.Stats.Bytes-r.Reusable) / float64(r.Stats.Readings)
}
