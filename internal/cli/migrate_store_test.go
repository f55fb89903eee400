package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/internal/transfer"
)

func TestTheBarOfAMoveSaysHowMuchHowFastAndHowLong(t *testing.T) {
	now := time.Unix(0, 0)
	var out bytes.Buffer
	b := &moveBar{progress: &progress{out: &out, live: true}, now: func() time.Time { return now }}
	b.show(transfer.Progress{Step: transfer.CopyReadings, Series: 1, AllSeries: 4, Readings: 1_000_000, AllReadings: 4_000_000})
	now = now.Add(10 * time.Second)
	b.show(transfer.Progress{Step: transfer.CopyReadings, Series: 2, AllSeries: 4, Readings: 2_000_000, AllReadings: 4_000_000})
	b.end()
	lines := strings.Split(out.String(), "\r\x1b[K")
	const want = "copy readings ████████████░░░░░░░░░░░░  50%  2 of 4 series, 2000 k readings, 100 k/s, 20 s left\n"
	if got := lines[len(lines)-1]; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheBarOfAMoveIsQuietInAPipe(t *testing.T) {
	var out bytes.Buffer
	b := &moveBar{progress: &progress{out: &out}, now: time.Now}
	b.show(transfer.Progress{Step: transfer.CopyReadings, Series: 4, AllSeries: 4, Readings: 1, AllReadings: 1})
	b.end()
	if out.Len() > 0 {
		t.Errorf("got %q, want nothing", out.String())
	}
}

func TestAMoveThatWasEndedByHandIsAnErrorWithTheNextStep(t *testing.T) {
	world := atHome(t)
	var errs bytes.Buffer
	world.stderr = &errs
	code := world.report(interrupted(&transfer.InterruptedError{Readings: 7, Err: context.Canceled}))
	const want = "trefoil: interrupted; 7 readings are moved so far: run the same command again, and it goes on from there\n"
	if code != exitFailed || errs.String() != want {
		t.Errorf("got exit code %d and %q, want %d and %q", code, errs.String(), exitFailed, want)
	}
}

func TestThePasswordIsNotInTheNextStepOfAMove(t *testing.T) {
	from, err := transfer.ParsePlace("/d")
	if err != nil {
		t.Fatal(err)
	}
	to, err := transfer.ParsePlace("postgres://u:hunter2@db/t")
	if err != nil {
		t.Fatal(err)
	}
	const want = "trefoil serve --data /d --store 'postgres://u:xxxxx@db/t'   (with the password in place of xxxxx)"
	if got := next(from, to); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
