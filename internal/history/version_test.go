package history_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
)

const hour = 3600 * second

// Whatever is committed, a range whose version is the same as before has not
// been touched meanwhile.
func TestAVersionChangesWithEveryChangeBeforeIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		v := history.NewVersions(0)
		type commit struct{ first trefoil.Instant }
		var commits []commit
		at := start
		n := rapid.IntRange(1, 200).Draw(rt, "commits")
		versions := make([][]trefoil.Seq, 10) // of ranges, after every commit
		var ends []trefoil.Instant
		for range 10 {
			ends = append(ends, start+trefoil.Instant(rapid.Int64Range(0, 100*int64(hour)).Draw(rt, "end")))
		}
		for i := range n {
			at += trefoil.Instant(rapid.Int64Range(0, int64(2*hour)).Draw(rt, "later"))
			first := at
			if rapid.IntRange(0, 9).Draw(rt, "late") == 0 {
				first = start + trefoil.Instant(rapid.Int64Range(0, int64(at-start)).Draw(rt, "first"))
			}
			m := &trefoil.Message{Device: "d", Readings: []trefoil.Reading{reading("m", at, 1), reading("m", first, 1)}}
			v.Committed(trefoil.Seq(i+1), 0, []*trefoil.Message{m})
			commits = append(commits, commit{first})
			for k, end := range ends {
				seq, ok := v.Of("d", end, trefoil.Seq(i+1))
				if !ok {
					rt.Fatal("the versions do not know of the last commit")
				}
				versions[k] = append(versions[k], seq)
			}
		}
		for k, list := range versions {
			end := ends[k]
			for i := 1; i < len(list); i++ {
				if commits[i].first < end && list[i] == list[i-1] {
					rt.Fatalf("commit %d changed what is before %v, and the version is still %d", i+1, end.Time(), list[i])
				}
			}
		}
	})
}

func TestReadingsInOrderLeaveTheVersionsOfThePastAlone(t *testing.T) {
	v := history.NewVersions(0)
	var before trefoil.Seq
	for i := range 20_000 { // two days of a sensor
		at := start + trefoil.Instant(i)*10*second
		v.Committed(trefoil.Seq(i+1), 0, []*trefoil.Message{{Device: "d", Readings: []trefoil.Reading{reading("m", at, 1)}}})
		seq, _ := v.Of("d", start+2*hour, trefoil.Seq(i+1))
		if at > start+2*hour && seq != before {
			t.Fatalf("reading %d changed the version of a range that ended before it from %d to %d", i, before, seq)
		}
		before = seq
	}
}

func TestAVersionIsNoUseBeforeTheCommitIsKnown(t *testing.T) {
	v := history.NewVersions(7)
	if seq, ok := v.Of("d", start, 7); !ok || seq != 0 {
		t.Errorf("at the start: got %d, %v; want 0, true", seq, ok)
	}
	if _, ok := v.Of("d", start, 8); ok {
		t.Error("after a commit that it was not told of: got true, want false")
	}
	v.Committed(8, 0, nil)
	if _, ok := v.Of("d", start, 8); !ok {
		t.Error("after it was told: got false, want true")
	}
}
