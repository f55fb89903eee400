package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// commit stores messages in one transaction.
func commit(t testing.TB, s *sqlite.Store, messages ...*trefoil.Message) trefoil.Seq {
	t.Helper()
	tx, err := s.Begin(context.Background())
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	for _, m := range messages {
		if err := tx.Append(m); err != nil {
			t.Fatalf("append: %v", err)
		}
	}
	seq, err := tx.Commit(context.Background())
	if err != nil {
		t.Fatalf("commit: %v", err)
	}
	return seq
}

func readAll(t testing.TB, s *sqlite.Store, device trefoil.DeviceID, metric string) []store.Sample {
	t.Helper()
	var out []store.Sample
	r := store.ReadRequest{Device: device, Metric: metric, From: -1 << 62, To: 1 << 62}
	err := s.Read(context.Background(), r, func(b store.Block) error {
		out = append(out, b.Samples...)
		return nil
	})
	if err != nil {
		t.Fatalf("read %s of %s: %v", metric, device, err)
	}
	return out
}

// twoMinutes commits a reading of each of 30 devices every two minutes, n
// times, replaces some, and gives what is there then.
func twoMinutes(t *testing.T, s *sqlite.Store, start trefoil.Instant, n int) map[trefoil.DeviceID][]store.Sample {
	t.Helper()
	at := func(i int) trefoil.Instant { return start + trefoil.Instant(i)*120_000_000 }
	want := map[trefoil.DeviceID][]store.Sample{}
	for i := range n {
		var list []*trefoil.Message
		for d := range 30 {
			id := trefoil.DeviceID(fmt.Sprintf("dev-%02d", d))
			m := &trefoil.Message{Device: id, Readings: []trefoil.Reading{{Metric: "m", Time: at(i), Value: trefoil.NumberValue(float64(i + d))}}}
			want[id] = append(want[id], store.Sample{Time: at(i), Value: m.Readings[0].Value})
			if i%10 == 9 { // replace an earlier one
				m.Readings = append(m.Readings, trefoil.Reading{Metric: "m", Time: at(i - 5), Value: trefoil.NumberValue(-1)})
				want[id][i-5].Value = trefoil.NumberValue(-1)
			}
			list = append(list, m)
		}
		commit(t, s, list...)
	}
	return want
}

func TestCrashBetweenAnyTwoStepsOfUpkeepLosesAndDoublesNothing(t *testing.T) {
	const hours = 3
	dir := t.TempDir()
	start := trefoil.InstantOf(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	now := start.Time().Add(hours * time.Hour)
	s := open(t, dir, store.Options{Now: func() time.Time { return now }})
	want := twoMinutes(t, s, start, hours*30+10)
	check := func(step int) {
		after := open(t, copyFiles(t, dir), store.Options{})
		for id, samples := range want {
			for name, s := range map[string]*sqlite.Store{"crashed": after, "running": s} {
				if got := readAll(t, s, id, "m"); !slices.Equal(got, samples) {
					t.Fatalf("step %d, %s: series of %s has %d readings, want %d", step, name, id, len(got), len(samples))
				}
			}
		}
		if after.Seq() != s.Seq() {
			t.Errorf("step %d: seq after the crash is %d, want %d", step, after.Seq(), s.Seq())
		}
		after.Close()
	}
	steps := 0
	for more := true; more; steps++ {
		var err error
		if more, err = s.Maintain(t.Context(), 0); err != nil {
			t.Fatalf("maintain: %v", err)
		}
		check(steps)
		switch { // new hours begin meanwhile, then the next day
		case steps < 12:
			now = now.Add(time.Hour * time.Duration(steps%2))
		case steps == 12:
			now = now.Add(48 * time.Hour)
		}
		if steps > 100 {
			t.Fatal("upkeep does not end")
		}
	}
	if steps < 4 {
		t.Errorf("upkeep took %d steps, want several for this test to mean something", steps)
	}
}

// The child of the test below commits numbered readings until it is killed,
// and prints the number of each commit after it.
func TestChildThatIsKilled(t *testing.T) {
	dir := os.Getenv("TREFOIL_TEST_CHILD")
	if dir == "" {
		t.Skip("only as the child of TestKillLosesAndDoublesNothing")
	}
	hour := time.Now()
	s, err := sqlite.Open(t.Context(), dir, store.Options{
		HeadBytes: 20 << 10,
		Now:       func() time.Time { hour = hour.Add(time.Second); return hour },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(os.Stdout)
	for n := len(readAll(t, s, "dev-0", "n")); ; n++ {
		var list []*trefoil.Message
		for d := range 5 {
			list = append(list, numbered(d, n))
		}
		commit(t, s, list...)
		fmt.Fprintln(out, n)
		out.Flush()
		if _, err := s.Maintain(t.Context(), time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
}

func numbered(device, n int) *trefoil.Message {
	at := trefoil.Instant(1_700_000_000_000_000 + int64(n)*20_000_000)
	return &trefoil.Message{
		Device:   trefoil.DeviceID("dev-" + strconv.Itoa(device)),
		Readings: []trefoil.Reading{{Metric: "n", Time: at, Value: trefoil.NumberValue(float64(n))}},
	}
}

func TestKillLosesAndDoublesNothing(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	dir := t.TempDir()
	acked := -1
	for round := range rounds {
		acked = max(acked, runChildAndKill(t, dir, 80+60*round))
		s := open(t, dir, store.Options{})
		for d := range 5 {
			got := readAll(t, s, trefoil.DeviceID("dev-"+strconv.Itoa(d)), "n")
			if len(got) < acked+1 || len(got) > acked+2 {
				t.Fatalf("round %d: %d readings, want %d or one more", round, len(got), acked+1)
			}
			for i, x := range got {
				if want := numbered(d, i).Readings[0]; x.Time != want.Time || x.Value != want.Value {
					t.Fatalf("round %d: reading %d is %v at %d, want %v at %d", round, i, x.Value, x.Time, want.Value, want.Time)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// runChildAndKill kills the child after it has acknowledged some commits, and
// gives the last one that it acknowledged.
func runChildAndKill(t *testing.T, dir string, after int) (acked int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildThatIsKilled$")
	cmd.Env = append(os.Environ(), "TREFOIL_TEST_CHILD="+dir)
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	acked = -1
	lines := bufio.NewScanner(stdout)
	for i := 0; lines.Scan(); i++ {
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			acked = n
		}
		if i == after {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself, want it killed")
	}
	if acked < 0 {
		t.Fatal("the child acknowledged nothing")
	}
	return acked
}
