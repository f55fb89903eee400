package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil/internal/client"
)

type tailCmd struct {
	clientFlags
	Device []string `arg:"" optional:"" help:"Ids of devices. Default: all."`
	Tag    []string `sep:"none" placeholder:"KEY:VALUE" help:"Devices with this tag instead; may be repeated."`
	Metric []string `short:"m" sep:"none" placeholder:"NAME" help:"Only this metric; may be repeated."`
	Table  bool     `xor:"form" help:"A table of the latest values that stays in place."`
	JSON   bool     `name:"json" xor:"form" help:"As JSON, one device and time a line."`
	Count  int      `short:"n" placeholder:"N" help:"Stop after N lines."`
}

func (tailCmd) Help() string {
	return `Begins with the latest readings and goes on with every new one after it is stored. After a lost connection nothing is left out and nothing comes twice, unless a line says so.

Examples:

    trefoil tail
    trefoil tail pump-7 -m flow -m pressure
    trefoil tail --tag site:roanoke --table
    trefoil tail --json | jq .values.temperature`
}

func (c *tailCmd) Run(ctx context.Context, t *terminal) error {
	if len(c.Device) > 0 && len(c.Tag) > 0 {
		return usageError("give either devices or --tag")
	}
	if c.Table && !t.interactive() {
		return usageError("--table needs a terminal; in a pipe use --json or nothing")
	}
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	f := follower{command: c, t: t, server: server, latest: map[string]client.Row{}}
	if err := f.follow(ctx); !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

// errEnough ends a tail with --count.
var errEnough = errors.New("enough lines")

// follower prints frames and remembers how far it came.
type follower struct {
	command *tailCmd
	t       *terminal
	server  *client.Client
	seq     uint64
	lines   int
	latest  map[string]client.Row // by device, for --table
}

// Reconnecting begins fast and slows down.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 10 * time.Second
)

// follow reads until ctx ends. A server that was never reached is an error;
// one that was is waited for.
func (f *follower) follow(ctx context.Context) error {
	pause, reached := firstPause, false
	for {
		watch := client.Watch{Devices: f.command.Device, Tags: f.command.Tag, Metrics: f.command.Metric, Since: f.seq}
		err := f.server.Live(ctx, watch, func(frame client.Frame) error {
			reached, pause = true, firstPause
			return f.take(frame)
		})
		var lost *client.Unreachable
		if !reached || !errors.As(err, &lost) {
			return err
		}
		fmt.Fprintf(f.t.stderr, "trefoil: %v; trying again\n", err)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, lastPause)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *follower) take(frame client.Frame) error {
	switch frame.Op {
	case "snapshot", "readings":
		f.seq = max(f.seq, frame.Seq)
		if frame.Skipped > 0 {
			fmt.Fprintf(f.t.stderr, "trefoil: %d readings were replaced by later ones because this terminal is slow\n", frame.Skipped)
		}
		return f.rows(frame.Rows)
	case "reset":
		f.seq = frame.Seq
		fmt.Fprintln(f.t.stderr, "trefoil: too long away: what came in between is in the history only")
	case "device":
		if d := frame.Device; d != nil && !f.command.JSON && !f.command.Table {
			f.t.printf("%s\n", changeLine(*d))
		}
	}
	return nil
}

func (f *follower) rows(rows []client.Row) error {
	slices.SortStableFunc(rows, func(a, b client.Row) int { return cmp.Compare(a.T, b.T) })
	for _, r := range rows {
		switch {
		case f.command.JSON:
			if err := f.t.json(r); err != nil {
				return err
			}
		case f.command.Table:
			f.merge(r)
		default:
			f.t.printf("%s\n", rowLine(r))
		}
		f.lines++
		if f.command.Count > 0 && f.lines >= f.command.Count {
			return errEnough
		}
	}
	if f.command.Table {
		f.draw()
	}
	return nil
}

// merge keeps the latest value of every metric.
func (f *follower) merge(r client.Row) {
	known, ok := f.latest[r.Device]
	if !ok {
		known = client.Row{Device: r.Device, Values: map[string]json.RawMessage{}}
	}
	maps.Copy(known.Values, r.Values)
	known.T = max(known.T, r.T)
	f.latest[r.Device] = known
}

// draw writes the table over the earlier one.
func (f *follower) draw() {
	rows := make([][]string, 0, len(f.latest))
	for _, id := range slices.Sorted(maps.Keys(f.latest)) {
		r := f.latest[id]
		rows = append(rows, []string{id, millis(r.T).Local().Format(time.TimeOnly), values(r)})
	}
	screen := renderTable([]string{"Device", "Time", "Readings"}, rows, f.t.width())
	f.t.printf("\x1b[H\x1b[2J%s\n", screen)
}

// rowLine is "12:03:04.5  pump-7  flow 31.2  running true".
func rowLine(r client.Row) string {
	return fmt.Sprintf("%s  %-16s %s", millis(r.T).Local().Format("15:04:05.0"), printable(r.Device), values(r))
}

func values(r client.Row) string {
	parts := make([]string, 0, len(r.Values))
	for _, metric := range slices.Sorted(maps.Keys(r.Values)) {
		parts = append(parts, printable(metric)+" "+showValue(r.Values[metric]))
	}
	return strings.Join(parts, "  ")
}

// showValue writes a value for people: texts without quotes.
func showValue(v json.RawMessage) string {
	var s string
	if bytes.HasPrefix(v, []byte{'"'}) && json.Unmarshal(v, &s) == nil {
		return printable(s)
	}
	if len(v) == 0 {
		return "-"
	}
	return string(v)
}

func changeLine(d client.Change) string {
	state := "offline"
	switch {
	case d.Removed:
		state = "removed"
	case d.Online:
		state = "online"
	}
	line := fmt.Sprintf("%s  %-16s %s", millis(d.Since).Local().Format("15:04:05.0"), printable(d.ID), state)
	if d.Reason != "" && !d.Removed {
		line += ": " + printable(d.Reason)
	}
	return line
}
