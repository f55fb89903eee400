package storage

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil/internal/store"
)

func days(used ...int64) (list []Day) {
	for i, n := range used {
		list = append(list, Day{Day: time.Unix(int64(i)*secondsOfDay, 0).UTC(), Bytes: n + 50, Reusable: 50})
	}
	return list
}

func TestGrowthIsTheMeanOfDaysThatGrew(t *testing.T) {
	for name, c := range map[string]struct {
		days []Day
		want float64
	}{
		"nothing known":              {nil, 0},
		"one day":                    {days(100), 0},
		"even":                       {days(100, 200, 300), 100},
		"retention made it smaller":  {days(100, 200, 50, 150), 100},
		"only the last two weeks":    {days(append(make([]int64, 10), 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6, 1e6)...), 0},
		"a gap while it was stopped": {[]Day{{Day: time.Unix(0, 0)}, {Day: time.Unix(4*secondsOfDay, 0), Bytes: 400}}, 100},
	} {
		if got := growth(c.days); got != c.want {
			t.Errorf("%s: got %v bytes per day, want %v", name, got, c.want)
		}
	}
}

func TestTheDiskIsFullWhenItsRoomAndThatOfTheFileIsUsed(t *testing.T) {
	r := Report{Growth: 100, Disk: store.Disk{Total: 10_000, Free: 900}}
	r.Reusable = 100
	if got, ok := r.FullIn(); !ok || got != 10 {
		t.Errorf("got %v days, %v; want 10", got, ok)
	}
	r.Growth = 0
	if got, ok := r.FullIn(); ok {
		t.Errorf("without growth: got %v days, want none", got)
	}
}

// paper copies a text, or fails.
type paper struct{ broken atomic.Bool }

var errNoRoom = errors.New("no room")

func (p *paper) Copy(_ context.Context, open func(int64) (io.Writer, error)) error {
	w, err := open(4)
	if err == nil {
		_, err = w.Write([]byte("copy"))
	}
	if p.broken.Load() {
		err = errNoRoom
	}
	return err
}

func TestBackupsAreMadeOnTimeAndTheLatestAreKept(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "trefoil-mine.db")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		source := &paper{}
		b := NewBackups(Plan{Directory: dir, Every: time.Hour, Keep: 3, Copier: source, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		want := func(what string, n int) {
			t.Helper()
			synctest.Wait()
			if list, err := b.list(); err != nil || len(list) != n {
				t.Errorf("%s: got %d backups, %v; want %d", what, len(list), err, n)
			}
		}
		time.Sleep(time.Minute)
		want("at once", 1)
		time.Sleep(2 * time.Hour)
		want("after two hours", 3)
		time.Sleep(5 * time.Hour)
		want("after seven hours", 3)
		if last, err := b.Last(); err != nil || time.Since(last.Time) > time.Hour || last.Bytes != 4 {
			t.Errorf("last: got %+v, %v", last, err)
		}
		source.broken.Store(true)
		time.Sleep(2 * time.Hour)
		want("while it fails", 3)
		if last, err := b.Last(); !errors.Is(err, errNoRoom) || time.Since(last.Time) < time.Hour {
			t.Errorf("while it fails: got %+v, %v; want the last good one and the fault", last, err)
		}
		source.broken.Store(false)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if last, err := b.Last(); err != nil || time.Since(last.Time) > 11*time.Minute {
			t.Errorf("after it failed: got %+v, %v; want a new one", last, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(foreign); err != nil {
		t.Errorf("a file of somebody else: %v, want it kept", err)
	}
	if parts, _ := filepath.Glob(filepath.Join(dir, "*.part")); len(parts) > 0 {
		t.Errorf("got %v, want no half copies", parts)
	}
}

func TestADirectoryHasADisk(t *testing.T) {
	d, err := DiskOf(t.TempDir())
	if err != nil || d.Total <= 0 || d.Free < 0 || d.Free > d.Total {
		t.Errorf("got %+v, %v; want a size and what is free of it", d, err)
	}
	if _, err := DiskOf(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("of a directory that is missing: got no error")
	}
}
