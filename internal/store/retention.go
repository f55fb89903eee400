package store

import (
	"context"
	"math"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Retention says how long the readings of one series are kept at least.
// Engines remove them by partition, so that some stay longer, but for a month
// at most.
type Retention struct {
	Raw    time.Duration // the readings themselves; 0: for ever
	Hourly time.Duration // a summary of each UTC hour, when the readings are gone; 0: none, Forever: for ever
}

// Forever is a [Retention].Hourly without an end.
const Forever time.Duration = math.MaxInt64

// Disk is the file system that a store lies on.
type Disk struct{ Total, Free int64 } // bytes

// Storage tells where the space of a database goes.
type Storage struct {
	Tables   []Table
	Reusable int64           // bytes of the database that are free inside of it
	Oldest   trefoil.Instant // of the readings, about; 0: there are none
}

// Table is a table or partition with what belongs to it.
type Table struct {
	Name     string
	Bytes    int64
	Readings int64           // in a partition of readings
	From, To trefoil.Instant // of a partition; both 0 for other tables
}

// Dropped is an entry of what retention removed.
type Dropped struct {
	Number   int64
	Time     trefoil.Instant // when
	Reason   DropReason
	What     DropWhat
	Part     string          // name of the partition
	From, To trefoil.Instant // readings of this time
	Series   int64
	Readings int64
	Bytes    int64
}

// DropReason says why something was removed.
type DropReason string

// The reasons.
const (
	DropAge  DropReason = "age"  // older than it is to be kept
	DropDisk DropReason = "disk" // the disk was fuller than it may be
	DropLate DropReason = "late" // arrived for a time of which only summaries are kept
)

// DropWhat says what was removed.
type DropWhat string

// What is removed.
const (
	DropAll DropWhat = "all" // nothing is left
	DropRaw DropWhat = "raw" // summaries of hours are left
)

// AddDropped enters d, or adds to the entry of that number.
func AddDropped(ctx context.Context, w Querier, d Dropped) error {
	_, err := w.ExecContext(ctx, `insert into retention_drop (number, time, reason, what, part, since, until, series, readings, bytes)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		on conflict (number) do update set time = excluded.time, series = retention_drop.series + excluded.series,
			readings = retention_drop.readings + excluded.readings, bytes = retention_drop.bytes + excluded.bytes`,
		d.Number, int64(d.Time), string(d.Reason), string(d.What), d.Part, int64(d.From), int64(d.To), d.Series, d.Readings, d.Bytes)
	return err
}

// LastDropped gives the number of the last entry, 0 if there is none.
func LastDropped(ctx context.Context, q Querier) (n int64, err error) {
	err = q.QueryRowContext(ctx, "select coalesce(max(number), 0) from retention_drop").Scan(&n)
	return n, err
}

// ListDropped gives the latest entries, the latest first.
func ListDropped(ctx context.Context, q Querier, limit int) ([]Dropped, error) {
	rows, err := q.QueryContext(ctx, `select number, time, reason, what, part, since, until, series, readings, bytes
		from retention_drop order by number desc limit $1`, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []Dropped
	for rows.Next() {
		var d Dropped
		if err := rows.Scan(&d.Number, &d.Time, &d.Reason, &d.What, &d.Part, &d.From, &d.To, &d.Series, &d.Readings, &d.Bytes); err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, rows.Err()
}
