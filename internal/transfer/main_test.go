package transfer

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"testing"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
	"github.com/trefoil-iot/trefoil/test/pgtest"
)

// cluster is the PostgreSQL of these tests, set once by TestMain.
var cluster *pgtest.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if cluster, err = pgtest.New(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if err := cluster.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// reach opens a place and closes it when the test ends.
func reach(t testing.TB, place string, source bool) Target {
	t.Helper()
	p, err := ParsePlace(place)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Open(context.Background(), source, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close %s: %v", p, err)
		}
	})
	return s
}

// write runs fn in a transaction of the store.
func write(t testing.TB, s store.Store, fn func(tx store.Tx) error) {
	t.Helper()
	tx, err := s.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if err := fn(tx); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Commit(context.Background()); err != nil {
		t.Fatal(err)
	}
}

const (
	begin    = trefoil.Instant(1_750_000_000_000_000)
	interval = trefoil.Instant(10_000_000)
)

// history gives n readings of a metric, 10 s apart, of a kind that its name
// says.
func history(metric string, n int) []trefoil.Reading {
	list := make([]trefoil.Reading, n)
	for i := range list {
		var v trefoil.Value
		switch metric {
		case "door":
			v = trefoil.BooleanValue(i%3 == 0)
		case "state":
			v = trefoil.TextValue([]string{"idle", "", "zero\x00byte", "größer"}[i%4])
		default:
			v = trefoil.NumberValue(math.Round(2000*math.Sin(float64(i)/100)) / 100)
		}
		list[i] = trefoil.Reading{Metric: metric, Time: begin + trefoil.Instant(i)*interval, Value: v}
	}
	return list
}

// plant makes a data directory with a SQLite store: three devices with n
// readings of a number each, a tenth of that of the other kinds, and three
// rows in every table. Most readings are in chunks.
func plant(t testing.TB, n int) string {
	t.Helper()
	dir := t.TempDir()
	s, err := sqlite.Open(context.Background(), dir, store.Options{HeadBytes: 1 << 20}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	write(t, s, func(tx store.Tx) error { return seedRows(t, s.Rows(), tx) })
	for _, id := range []trefoil.DeviceID{"v0", "v1", "v2"} {
		write(t, s, func(tx store.Tx) error {
			for metric, size := range map[string]int{"temperature": n, "door": n / 10, "state": n / 10} {
				if err := tx.Append(&trefoil.Message{Device: id, Readings: history(metric, size)}); err != nil {
					return err
				}
			}
			return nil
		})
		for more := true; more; {
			if more, err = s.Maintain(context.Background(), upkeep); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A repeated time, and a few that stay in the log.
	write(t, s, func(tx store.Tx) error {
		return tx.Append(&trefoil.Message{Device: "v1", Readings: []trefoil.Reading{
			{Metric: "temperature", Time: begin, Value: trefoil.NumberValue(-1)},
			{Metric: "temperature", Time: begin - 1, Value: trefoil.TextValue("not a number")},
		}})
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// seedRows puts three rows into each table: numbers, truths and texts that
// keep foreign keys, an empty blob, and null where it is allowed.
func seedRows(t testing.TB, q store.Querier, w store.Writer) error {
	t.Helper()
	tables, err := copiedTables(context.Background())
	if err != nil {
		return err
	}
	for _, tab := range tables {
		nullable, err := list(context.Background(), q, `select name from pragma_table_info($1) where "notnull" = 0 and pk = 0`, tab.name)
		if err != nil {
			return err
		}
		b := rowBatch{table: tab}
		for i := range 3 {
			b.add(seedRow(tab, nullable, i))
		}
		if _, err := w.ExecContext(context.Background(), b.statement(), b.values...); err != nil {
			return fmt.Errorf("table %s: %w", tab.name, err)
		}
	}
	return nil
}

func seedRow(tab table, nullable []string, i int) []any {
	var row []any
	for _, c := range tab.columns {
		values := map[kind]any{
			whole: int64(i), boolean: i%2 == 1, decimal: float64(i) / 3, text: fmt.Sprintf("v%d", i),
			blob: append([]byte{}, make([]byte, i)...),
		}
		v := values[c.kind]
		for _, name := range nullable {
			if name == c.name && i == 2 {
				v = nil
			}
		}
		row = append(row, v)
	}
	return row
}
