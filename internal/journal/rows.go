package journal

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

const eventColumns = "number, time, first, count, kind, address, client, protocol, transport, reason, detail, keep_alive, heard"

func selectEvents(ctx context.Context, q store.Querier, id trefoil.DeviceID) ([]Event, error) {
	rows, err := q.QueryContext(ctx, "select "+eventColumns+" from device_event where device = $1 order by number desc", string(id))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []Event
	for rows.Next() {
		var e Event
		var number int64
		err := rows.Scan(&number, &e.Time, &e.First, &e.Count, &e.Kind, &e.Address, &e.Client, &e.Protocol, &e.Transport,
			&e.Reason, &e.Detail, (*int64)(&e.KeepAlive), &e.Heard)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, rows.Err()
}

// selectNumbers gives the number of the last event of each device that has
// one.
func selectNumbers(ctx context.Context, q store.Querier, ids []trefoil.DeviceID) (map[trefoil.DeviceID]int64, error) {
	args := make([]any, len(ids))
	marks := make([]string, len(ids))
	for i, id := range ids {
		args[i], marks[i] = string(id), fmt.Sprintf("$%d", i+1)
	}
	rows, err := q.QueryContext(ctx, "select device, max(number) from device_event where device in ("+strings.Join(marks, ",")+") group by device", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	numbers := make(map[trefoil.DeviceID]int64, len(ids))
	for rows.Next() {
		var id trefoil.DeviceID
		var n int64
		if err := rows.Scan(&id, &n); err != nil {
			return nil, err
		}
		numbers[id] = n
	}
	return numbers, rows.Err()
}

// perStatement is the number of rows in one statement, few enough for every
// engine's limit of parameters.
const perStatement = 25

func upsertEvents(ctx context.Context, q store.Querier, rows []row) error {
	for len(rows) > 0 {
		n := min(perStatement, len(rows))
		if err := upsertSome(ctx, q, rows[:n]); err != nil {
			return fmt.Errorf("store connection events: %w", err)
		}
		rows = rows[n:]
	}
	return nil
}

// eventTypes are those of device, slot and eventColumns.
var eventTypes = [...]string{
	"text", "integer", "bigint", "bigint", "bigint", "bigint", "text", "text", "text", "text", "text", "text", "text", "bigint", "bigint",
}

// upsertSome skips events of devices that are gone. The columns of a values
// list have the names column1, column2 … in both engines; the casts are for
// PostgreSQL, which cannot guess the types of parameters there. Without
// "where", SQLite takes "on conflict" for a part of the join.
func upsertSome(ctx context.Context, q store.Querier, rows []row) error {
	var b strings.Builder
	b.WriteString("insert into device_event (device, slot, " + eventColumns + ") select ")
	for i := range eventTypes {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "v.column%d", i+1)
	}
	b.WriteString(" from (values ")
	args := make([]any, 0, len(rows)*len(eventTypes))
	for i, r := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		for c, kind := range eventTypes {
			separator := ", "
			if c == 0 {
				separator = "("
			}
			fmt.Fprintf(&b, "%scast($%d as %s)", separator, len(args)+c+1, kind)
		}
		b.WriteByte(')')
		args = append(args, r.args()...)
	}
	b.WriteString(`) as v where exists (select 1 from device where device.id = v.column1)
		on conflict (device, slot) do update set number = excluded.number, time = excluded.time, first = excluded.first,
			count = excluded.count, kind = excluded.kind, address = excluded.address, client = excluded.client,
			protocol = excluded.protocol, transport = excluded.transport, reason = excluded.reason, detail = excluded.detail,
			keep_alive = excluded.keep_alive, heard = excluded.heard`)
	_, err := q.ExecContext(ctx, b.String(), args...)
	return err
}

func (r row) args() []any {
	return []any{
		string(r.device), r.number % Bound, r.number, int64(r.Time), int64(r.First), r.Count, string(r.Kind), r.Address,
		r.Client, r.Protocol, r.Transport, r.Reason, r.Detail, int64(r.KeepAlive / time.Nanosecond), int64(r.Heard),
	}
}

// cut bounds a text and keeps it valid UTF-8, which PostgreSQL insists on,
// also about zero bytes.
func cut(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	if len(s) <= maxText {
		return s
	}
	end := maxText
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// host is the address without its port.
func host(address string) string {
	if h, _, err := net.SplitHostPort(address); err == nil {
		return h
	}
	return address
}
