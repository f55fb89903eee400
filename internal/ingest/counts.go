package ingest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// commitCounts says which rows of ledger_commit exist and which of them the
// rows of the ledger do not contain yet. Numbers grow by one with every commit
// that stores messages.
type commitCounts struct {
	last     int64 // commit that is settled
	pending  int64 // commit that is on its way; 0: none
	mark     int64 // all accounts that changed up to this commit …
	left     int   // … are written when this many more are
	needless int64 // commits up to this are in the rows of the ledger
	buf      []byte
}

// record writes what the batch stores, in the transaction that stores it.
func (c *commitCounts) record(ctx context.Context, w store.Querier, batch []Write, outcomes []error) error {
	c.pending = 0
	c.buf = c.buf[:0]
	for i := 0; i < len(batch); {
		m := batch[i].Message
		if m == nil || outcomes[i] != nil {
			i++
			continue
		}
		n := uint64(0)
		for ; i < len(batch) && batch[i].Message != nil && outcomes[i] == nil && batch[i].Message.Device == m.Device; i++ {
			n++
		}
		c.buf = binary.AppendUvarint(c.buf, uint64(len(m.Device)))
		c.buf = append(c.buf, m.Device...)
		c.buf = binary.AppendUvarint(c.buf, n)
	}
	if len(c.buf) == 0 {
		return nil
	}
	if _, err := w.ExecContext(ctx, "insert into ledger_commit (number, counts) values ($1, $2)", c.last+1, c.buf); err != nil {
		return fmt.Errorf("count what is stored: %w", err)
	}
	c.pending = c.last + 1
	return nil
}

// settle notes that the commit that was on its way is durable.
func (c *commitCounts) settle() {
	c.last = max(c.last, c.pending)
	c.pending = 0
}

// flushed notes that n accounts are on their way to their rows and that rest
// are not. It gives the last commit that those n contain, and the last that
// every row contains. Accounts that change again go to the end of the list,
// so when as many are written as once were in it, all of those are.
func (c *commitCounts) flushed(n, rest int) (contained, needless int64) {
	if c.mark == 0 {
		c.mark, c.left = c.last, n+rest
	}
	if c.left -= n; c.left <= 0 {
		c.needless = c.mark
		c.begin(rest)
	}
	return c.last, c.needless
}

// begin starts to follow the accounts that have changed by now; with none the
// next flush does.
func (c *commitCounts) begin(rest int) {
	c.mark, c.left = 0, rest
	if rest > 0 {
		c.mark = c.last
	}
}

// forgetCommits deletes rows whose counts are in the rows of the ledger.
func forgetCommits(ctx context.Context, w store.Writer, upTo int64) error {
	if _, err := w.ExecContext(ctx, "delete from ledger_commit where number <= $1", upTo); err != nil {
		return &trefoil.Error{Code: trefoil.CodeInternal, Message: "tidy the ledger", Cause: err}
	}
	return nil
}

// replay counts what commits stored that the rows of the ledger do not
// contain. Accounts of devices that were deleted since are left out.
func (l *Ledger) replay(ctx context.Context, q store.Querier) error {
	here, err := devices(ctx, q)
	if err != nil {
		return &trefoil.Error{Code: trefoil.CodeInternal, Message: "read the devices", Cause: err}
	}
	rows, err := q.QueryContext(ctx, "select number, counts from ledger_commit order by number")
	if err != nil {
		return &trefoil.Error{Code: trefoil.CodeInternal, Message: "read the counts of commits", Cause: err}
	}
	defer rows.Close()
	for rows.Next() {
		var number int64
		var counts []byte
		if err := rows.Scan(&number, &counts); err != nil {
			return &trefoil.Error{Code: trefoil.CodeInternal, Message: "read the counts of commits", Cause: err}
		}
		if err := l.replayOne(number, counts, here); err != nil {
			return &trefoil.Error{Code: trefoil.CodeInternal, Message: fmt.Sprintf("read the counts of commit %d", number), Cause: err}
		}
		l.commits.last = max(l.commits.last, number)
	}
	return rows.Err()
}

func devices(ctx context.Context, q store.Querier) (map[trefoil.DeviceID]bool, error) {
	rows, err := q.QueryContext(ctx, "select id from device")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := map[trefoil.DeviceID]bool{}
	for rows.Next() {
		var id trefoil.DeviceID
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		all[id] = true
	}
	return all, rows.Err()
}

var errCounts = errors.New("they end too early")

func (l *Ledger) replayOne(number int64, p []byte, here map[trefoil.DeviceID]bool) error {
	for len(p) > 0 {
		size, i := binary.Uvarint(p)
		if i <= 0 || size > uint64(len(p)-i) {
			return errCounts
		}
		id := trefoil.DeviceID(p[i : i+int(size)])
		p = p[i+int(size):]
		n, k := binary.Uvarint(p)
		if k <= 0 {
			return errCounts
		}
		p = p[k:]
		if !here[id] {
			continue
		}
		if a := l.account(id); number > a.number {
			a.stored += int64(n)
			l.touch(id, a)
		}
	}
	return nil
}
