package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil/internal/config"
	"github.com/trefoil-iot/trefoil/internal/transfer"
)

type migrateStoreCmd struct {
	From string `placeholder:"DIR|URL" help:"Data directory or postgres://… to move from; also $$TREFOIL_DATA. Default: ./trefoil-data."`
	To   string `placeholder:"URL|DIR" help:"Empty database to move to; also $$TREFOIL_STORE."`
}

func (migrateStoreCmd) Help() string {
	return `Everything is moved: devices, users, sessions, settings, and all readings. The server must be stopped. The source stays as it is; the target must be empty. At the end everything is read back from both and compared.

A move that was interrupted, also by Ctrl-C, a crash or a lost connection, goes on where it was when the same command runs again; until then no server starts on the target. If the source has changed in between, it begins anew.

The other direction works too: --from postgres://… --to DIR.

Exit codes: 0 moved and compared, 1 failed or interrupted, 2 wrong command line.

Examples:

    trefoil migrate-store --from /var/lib/trefoil --to postgres://trefoil@localhost/trefoil
    TREFOIL_STORE=postgres://trefoil:password@db/trefoil trefoil migrate-store --from /var/lib/trefoil`
}

// places are where to move from and to.
func (c *migrateStoreCmd) places(t *terminal) (from, to transfer.Place, err error) {
	source := cmp.Or(c.From, t.lookup("TREFOIL_DATA"), config.Default().Data)
	target := cmp.Or(c.To, t.lookup("TREFOIL_STORE"))
	if target == "" || target == "sqlite" {
		return from, to, usageError("name the database to move to with --to postgres://user:password@host/database, or in $TREFOIL_STORE")
	}
	if from, err = transfer.ParsePlace(source); err != nil {
		return from, to, usageError("--from: " + err.Error())
	}
	if to, err = transfer.ParsePlace(target); err != nil {
		return from, to, usageError("--to: " + err.Error())
	}
	if from == to {
		return from, to, usageError("--from and --to are the same database")
	}
	return from, to, nil
}

func (c *migrateStoreCmd) Run(ctx context.Context, t *terminal) (err error) {
	from, to, err := c.places(t)
	if err != nil {
		return err
	}
	log := logger(t.stderr, config.Default().Log)
	source, err := from.Open(ctx, true, log)
	if err != nil {
		return fmt.Errorf("--from: %w", err)
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := to.Open(ctx, false, log)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	bar := &moveBar{progress: t.progress(), now: time.Now}
	s, err := transfer.Run(ctx, from.String(), source, target, transfer.Options{Progress: bar.show})
	bar.end()
	if errors.Is(err, context.Canceled) {
		return interrupted(err)
	}
	if err != nil {
		return err
	}
	t.moved(s, from, to)
	return nil
}

// interrupted is the error of a move that somebody ended. It is an error, so
// that a script does not go on with half of the data.
func interrupted(err error) error {
	var i *transfer.InterruptedError
	if errors.As(err, &i) {
		i.Err = errors.New("interrupted")
		return i
	}
	return errors.New("interrupted before anything was moved")
}

// moved says what was done and what comes next.
func (t *terminal) moved(s transfer.Summary, from, to transfer.Place) {
	switch {
	case s.Again:
		t.printf("The source had changed since the move that was interrupted, so it began anew.\n")
	case s.Resumed:
		t.printf("A move that was interrupted went on where it was.\n")
	}
	t.printf("Moved %s to %s:\n\n", from, to)
	t.printf("    tables    %d with %s\n", s.Tables, counted(s.Rows, "row"))
	t.printf("    readings  %d of %d series", s.Readings, s.Series)
	if s.Copied > 0 {
		t.printf(", %d now, %.0f per second", s.Copied, float64(s.Copied)/s.CopyTime.Seconds())
	}
	t.printf("\n    compared  every row and every reading, in %.1f s: no difference\n\n", s.CompareTime.Seconds())
	if s.Empty > 0 {
		t.printf("Left out: %d series without readings.\n", s.Empty)
	}
	if s.Summarized > 0 {
		t.printf("Left behind: %d readings of which retention has kept only summaries of hours; they are in the source alone.\n", s.Summarized)
	}
	t.printf("Now start the server on it:\n\n    %s\n\nThe source is as it was. Keep it until you are content, and do not start a server on both.\n", next(from, to))
}

// next is the command that starts a server on the target.
func next(from, to transfer.Place) string {
	if to.Dir() != "" {
		return "trefoil serve --data " + to.Dir()
	}
	command := "trefoil serve --store '" + to.String() + "'"
	if from.Dir() != "" {
		command = "trefoil serve --data " + from.Dir() + " --store '" + to.String() + "'"
	}
	if strings.Contains(to.String(), "xxxxx") {
		command += "   (with the password in place of xxxxx)"
	}
	return command
}

// moveBar shows how far a move is, on a terminal only.
type moveBar struct {
	progress *progress
	now      func() time.Time

	step  transfer.Step
	start transfer.Progress // of the step in this run
	began time.Time
	drawn time.Time
}

func (b *moveBar) show(p transfer.Progress) {
	now := b.now()
	if p.Step != b.step {
		b.end()
		b.step, b.start, b.began, b.drawn = p.Step, p, now, time.Time{}
	}
	if !b.progress.live || now.Sub(b.drawn) < barEvery && p.Series < p.AllSeries {
		return
	}
	b.drawn = now
	b.progress.show("%s", b.line(p, now.Sub(b.began)))
}

// line is one line: how much is done, how fast that is, and how long the rest
// takes at this rate.
func (b *moveBar) line(p transfer.Progress, took time.Duration) string {
	if p.AllReadings == 0 || p.Step == transfer.CopyRows {
		return string(p.Step)
	}
	const width = 24
	full := int(min(p.Readings, p.AllReadings) * width / p.AllReadings)
	line := fmt.Sprintf("%-13s %s%s %3d%%  %d of %d series, %s readings", p.Step,
		strings.Repeat("█", full), strings.Repeat("░", width-full), p.Readings*100/p.AllReadings, p.Series, p.AllSeries, short(p.Readings))
	if done := p.Readings - b.start.Readings; done > 0 && took > 0 {
		rate := float64(done) / took.Seconds()
		left := time.Duration(float64(p.AllReadings-p.Readings) / rate * float64(time.Second))
		line += fmt.Sprintf(", %s/s, %s left", short(int64(rate)), span(left))
	}
	return line
}

// end leaves the last line of a step where it is.
func (b *moveBar) end() {
	if b.progress.live && b.step != "" {
		b.progress.done()
	}
}

// short writes a number in three digits or a few more.
func short(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprint(n)
	case n < 10_000_000:
		return fmt.Sprintf("%d k", n/1000)
	default:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	}
}
