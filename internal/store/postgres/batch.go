package postgres

import (
	"cmp"
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// row is one reading that waits for the end of its transaction.
type row struct {
	series *serie
	time   trefoil.Instant
	value  trefoil.Value
	order  int32 // of its arrival
}

// txBuffer is memory that one transaction leaves to the next.
type txBuffer struct {
	rows            []row
	numbers, others columns
	latest, first   columns // latest readings of known and of fresh series
}

// settle brings rows into the order of the table's key, in which several
// processes cannot block each other, and leaves the last one of those that
// have the same series and time. All series must have their numbers.
func settle(rows []row) []row {
	for i := range rows {
		rows[i].order = int32(i)
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.series.id, b.series.id), cmp.Compare(a.time, b.time), cmp.Compare(b.order, a.order))
	})
	return slices.CompactFunc(rows, func(a, b row) bool { return a.series == b.series && a.time == b.time })
}

// encode writes settled rows into the columns.
func (b *txBuffer) encode(rows []row) {
	b.numbers.reset()
	b.others.reset()
	b.latest.reset()
	b.first.reset()
	for i := range rows {
		r := &rows[i]
		if r.value.Kind() == trefoil.Number {
			b.numbers.addNumber(r)
		} else {
			b.others.addAny(r)
		}
		if i+1 < len(rows) && rows[i+1].series == r.series {
			continue
		}
		if r.series.fresh {
			b.first.addAny(r)
		} else {
			b.latest.addAny(r)
		}
	}
}

// Names of prepared statements.
const (
	insertNumbers = "insert_numbers"
	insertOthers  = "insert_others"
	updateLatest  = "update_latest"
	insertLatest  = "insert_latest"
	numberCommit  = "number_commit"
	insertSeries  = "insert_series"
)

// statements are those of the hot path. A reading that replaces one of
// another kind clears what that one was.
func statements() map[string]string {
	return map[string]string{
		insertNumbers: `insert into reading (series_id, time, value)
			select * from unnest($1::bigint[], $2::timestamptz[], $3::double precision[])
			on conflict (series_id, time) do update set value = excluded.value, boolean = null, text = null, bytes = null`,

		insertOthers: `insert into reading (series_id, time, value, boolean, text, bytes)
			select * from unnest($1::bigint[], $2::timestamptz[], $3::double precision[], $4::boolean[], $5::text[], $6::bytea[])
			on conflict (series_id, time) do update set value = excluded.value, boolean = excluded.boolean,
				text = excluded.text, bytes = excluded.bytes`,

		// An update alone costs half of what an insert with a conflict costs.
		updateLatest: `update latest l set time = n.time, value = n.value, boolean = n.boolean, text = n.text, bytes = n.bytes
			from unnest($1::bigint[], $2::timestamptz[], $3::double precision[], $4::boolean[], $5::text[], $6::bytea[])
				as n (id, time, value, boolean, text, bytes)
			where l.series_id = n.id and l.time <= n.time`,

		insertLatest: `insert into latest as l (series_id, time, value, boolean, text, bytes)
			select * from unnest($1::bigint[], $2::timestamptz[], $3::double precision[], $4::boolean[], $5::text[], $6::bytea[])
			on conflict (series_id) do update set time = excluded.time, value = excluded.value, boolean = excluded.boolean,
				text = excluded.text, bytes = excluded.bytes
			where l.time <= excluded.time`,

		// The row of commit_state stays locked until the commit, so that the
		// numbers of several processes grow in the order of their commits.
		// Without a row, series were dropped that this process may know.
		numberCommit: `with n as (update commit_state set seq = seq + 1, drops = drops + $2::bigint
				where drops = $1::bigint returning seq)
			insert into commit_writer (name, seq, time) select $3::text, seq, now() from n
			on conflict (name) do update set seq = excluded.seq, time = excluded.time returning seq`,

		insertSeries: `insert into series (device, metric) select * from unnest($1::text[], $2::text[])
			on conflict (device, metric) do update set metric = excluded.metric returning device, metric, id`,
	}
}
