package ingest_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// durable is a loop over a real store.
type durable struct {
	*ingest.Loop
	dir    string
	store  *sqlite.Store
	ledger *ingest.Ledger
	ended  chan struct{}
}

func openDurable(t *testing.T, dir string) *durable {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	s, err := sqlite.Open(t.Context(), dir, store.Options{MaxMetrics: 3}, log)
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := ingest.NewLedger(t.Context(), s.Rows(), time.Now, noMeter{})
	if err != nil {
		t.Fatal(err)
	}
	d := &durable{dir: dir, store: s, ledger: ledger, ended: make(chan struct{})}
	d.Loop = ingest.New(ingest.Config{
		Store: s, Ledger: ledger, Meter: noMeter{}, Log: log, Now: time.Now,
		Known: func(trefoil.DeviceID) bool { return true },
	})
	go func() { defer close(d.ended); d.Run() }()
	t.Cleanup(d.stop)
	return d
}

func (d *durable) stop() {
	d.Stop()
	<-d.ended
	d.store.Close()
}

// crashed opens what a killed process leaves behind at this moment.
func (d *durable) crashed(t *testing.T) *durable {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{sqlite.FileName, sqlite.FileName + "-wal"} {
		b, err := os.ReadFile(filepath.Join(d.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return openDurable(t, to)
}

func (d *durable) put(t *testing.T, device string, n int) {
	t.Helper()
	for i := range n {
		m := d.NewMessage()
		m.Device, m.Received = trefoil.DeviceID(device), trefoil.InstantOf(time.Now())
		m.Readings = append(m.Readings, trefoil.Reading{Metric: "m", Time: trefoil.Instant(i), Value: trefoil.NumberValue(1)})
		if _, err := d.Put(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

func (d *durable) devices(t *testing.T, n int) {
	t.Helper()
	err := d.Do(t.Context(), func(ctx context.Context, w store.Writer) error {
		for i := range n {
			_, err := w.ExecContext(ctx, `insert into device (id, name, tags, profile, created, updated, online, presence_reason, presence_since)
				values ($1, '', '{}', '', 0, 0, false, '', 0)`, fmt.Sprintf("d%d", i))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (d *durable) wantStored(t *testing.T, device string, want int64) {
	t.Helper()
	if c, _ := d.ledger.Of(trefoil.DeviceID(device)); c.Stored != want || c.Received != want {
		t.Errorf("%s after a crash: got %+v, want %d received and stored", device, c, want)
	}
}

func TestACrashLosesNoCountOfWhatIsStored(t *testing.T) {
	d := openDurable(t, t.TempDir())
	d.devices(t, 3)
	for round := range 4 { // each crash goes on where the last one left off
		for i := range 3 {
			d.put(t, fmt.Sprintf("d%d", i), 10+i)
		}
		d = d.crashed(t)
		for i := range 3 {
			d.wantStored(t, fmt.Sprintf("d%d", i), int64((round+1)*(10+i)))
		}
	}
}

func TestCountsOfCommitsLeaveWhenTheLedgerHasThem(t *testing.T) {
	d := openDurable(t, t.TempDir())
	d.devices(t, 1)
	d.put(t, "d0", 5)
	d.Stop()
	<-d.ended
	d = d.crashed(t)
	d.wantStored(t, "d0", 5)
	d.put(t, "d0", 1)
	d.Stop()
	<-d.ended
	var n int
	if err := d.store.Rows().QueryRowContext(t.Context(), "select count(*) from ledger_commit").Scan(&n); err != nil || n > 1 {
		t.Errorf("rows of commits after the ledger was written: got %d, %v; want at most the one of the last commit", n, err)
	}
	d = d.crashed(t)
	d.wantStored(t, "d0", 6)
}

func TestCountsOfDeletedDevicesAreNotTakenUpAgain(t *testing.T) {
	d := openDurable(t, t.TempDir())
	d.devices(t, 1)
	d.put(t, "d0", 5)
	err := d.Do(t.Context(), func(ctx context.Context, w store.Writer) error {
		if _, err := w.ExecContext(ctx, "delete from ledger where device = 'd0'"); err != nil {
			return err
		}
		_, err := w.ExecContext(ctx, "delete from device where id = 'd0'")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d.crashed(t).wantStored(t, "d0", 0)
}
