package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/client"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/history/table"
)

type exportCmd struct {
	clientFlags
	Device []string `short:"d" sep:"none" placeholder:"ID" help:"Only this device; may be repeated. Default: all."`
	Tag    []string `sep:"none" placeholder:"KEY:VALUE" help:"Only devices with this tag; may be repeated."`
	Metric []string `short:"m" sep:"none" placeholder:"NAME" help:"Only this metric; may be repeated."`
	From   string   `default:"-24h" placeholder:"TIME" help:"Beginning: RFC 3339, a date, or relative such as -30d. Default: -24h."`
	To     string   `default:"now" placeholder:"TIME" help:"End, not included. Default: now."`
	Format string   `default:"csv" enum:"csv,ndjson,parquet" help:"csv, ndjson or parquet. Default: csv."`
	Output string   `short:"o" required:"" placeholder:"FILE" help:"File to write; - is the standard output."`
	Resume bool     `help:"Go on where an export to the same file was interrupted."`
}

func (exportCmd) Help() string {
	return `Writes every reading as a row: time, device, metric, value. The file appears when it is complete; until then what there is lies beside it in FILE.part, for --resume.

Examples:

    trefoil export --from -30d -o readings.csv
    trefoil export --tag site:roanoke --from 2026-01-01 --format parquet -o roanoke.parquet
    trefoil export --device pump-7 --metric flow -o - | head`
}

func (c *exportCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	e, err := c.plan(ctx, server)
	if err != nil {
		return err
	}
	if c.Output == "-" {
		return e.toOutput(ctx, t.stdout)
	}
	e.progress = t.progress()
	if err := e.toFile(ctx, c.Output, c.Resume); err != nil {
		e.progress.done()
		return fmt.Errorf("%w; what there is stays in %s for --resume", err, c.Output+partial)
	}
	e.progress.show("%d readings of %d devices in %s", e.readings, len(e.Devices), c.Output)
	e.progress.done()
	return nil
}

// partial is the end of the name of a file that is not complete.
const partial = ".part"

// export is one export. What is exported stands in a file beside the partial
// one, so that a resumed export is about the same.
type export struct {
	Devices  []string
	Metrics  []string
	From, To time.Time
	Format   table.Format

	server   *client.Client
	progress *progress
	readings int
}

func (c *exportCmd) plan(ctx context.Context, server *client.Client) (*export, error) {
	now := time.Now()
	e := &export{Metrics: c.Metric, Format: table.Format(c.Format), server: server}
	from, err := history.ParseTime(c.From, now)
	if err != nil {
		return nil, usageError("--from: " + err.Error())
	}
	to, err := history.ParseTime(c.To, now)
	if err != nil {
		return nil, usageError("--to: " + err.Error())
	}
	e.From, e.To = from.Time(), to.Time()
	if from >= to {
		return nil, usageError("--from must be before --to")
	}
	if len(c.Device) > 0 && len(c.Tag) > 0 {
		return nil, usageError("give either --device or --tag")
	}
	for _, id := range c.Device {
		if _, err := server.Device(ctx, id); err != nil {
			return nil, err
		}
	}
	e.Devices = slices.Compact(slices.Sorted(slices.Values(c.Device)))
	if len(c.Device) > 0 {
		return e, nil
	}
	for d, err := range server.Devices(ctx, client.Query{Tags: c.Tag}) {
		if err != nil {
			return nil, err
		}
		e.Devices = append(e.Devices, d.ID)
	}
	return e, nil
}

// toOutput converts what arrives while it arrives.
func (e *export) toOutput(ctx context.Context, out io.Writer) error {
	r, w := io.Pipe()
	fetched := make(chan error, 1)
	go func() {
		err := e.fetch(ctx, w, position{})
		_ = w.CloseWithError(err) // nil is the end; it cannot fail
		fetched <- err
	}()
	err := convert(r, e.Format, out)
	_ = r.CloseWithError(err)
	return cmp.Or(<-fetched, err)
}

func (e *export) toFile(ctx context.Context, name string, resume bool) (err error) {
	part := name + partial
	flags := os.O_CREATE | os.O_RDWR
	at := position{}
	if resume {
		at, err = e.resume(part)
	} else {
		flags |= os.O_TRUNC
		err = e.save(part)
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(part, flags, 0o644)
	if err != nil {
		return fmt.Errorf("open the file: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return fmt.Errorf("open the file: %w", err)
	}
	if err := e.fetch(ctx, f, at); err != nil {
		return err
	}
	return e.complete(f, name)
}

// complete makes the file of the partial one.
func (e *export) complete(f *os.File, name string) error {
	part := f.Name()
	if e.Format != table.NDJSON {
		e.progress.show("writing %s", name)
		if err := convertFile(f, e.Format, name+partial+"."+string(e.Format)); err != nil {
			return err
		}
		part += "." + string(e.Format)
	}
	if err := os.Rename(part, name); err != nil {
		return fmt.Errorf("complete the file: %w", err)
	}
	for _, left := range []string{f.Name(), f.Name() + ".json"} {
		if err := os.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("tidy up: %w", err)
		}
	}
	return nil
}

// save notes what is exported.
func (e *export) save(part string) error {
	b, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("note what is exported: %w", err)
	}
	if err := os.WriteFile(part+".json", b, 0o644); err != nil {
		return fmt.Errorf("note what is exported: %w", err)
	}
	return nil
}

// resume reads what is exported, cuts off a line that is not complete, and
// finds the last reading of the file.
func (e *export) resume(part string) (at position, err error) {
	b, err := os.ReadFile(part + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return at, usageError("nothing to resume: there is no " + part)
	}
	if err == nil {
		err = json.Unmarshal(b, e)
	}
	if err != nil {
		return at, fmt.Errorf("read what was exported: %w", err)
	}
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return at, fmt.Errorf("open the file: %w", err)
	}
	defer f.Close()
	line, end, err := lastLine(f)
	if err != nil {
		return at, err
	}
	if err := f.Truncate(end); err != nil {
		return at, fmt.Errorf("cut off the last line: %w", err)
	}
	err = table.ReadNDJSON(bytes.NewReader(line), "", func(r table.Row, bad error) error {
		at = position{device: r.Device, metric: r.Metric, next: r.Time + 1}
		return bad
	})
	return at, err
}

// lastLine finds the last complete line of a file and where it ends.
func lastLine(f *os.File) (line []byte, end int64, err error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, fmt.Errorf("read the file: %w", err)
	}
	const reach = 64 << 10 // more than two rows
	tail := make([]byte, min(size, reach))
	if _, err := f.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("read the file: %w", err)
	}
	stop := bytes.LastIndexByte(tail, '\n')
	if stop < 0 {
		return nil, 0, nil
	}
	begin := bytes.LastIndexByte(tail[:stop], '\n') + 1
	return tail[begin:stop], size - int64(len(tail)) + int64(stop) + 1, nil
}

// position is how far an export came; rows are in order of device, metric and
// time.
type position struct {
	device, metric string
	next           trefoil.Instant
}

// fetch writes the rows after a position.
func (e *export) fetch(ctx context.Context, out io.Writer, after position) error {
	counted := &lineCounter{w: out}
	for i, device := range e.Devices {
		if device < after.device {
			continue
		}
		metrics, err := e.server.Metrics(ctx, device)
		if err != nil {
			return err
		}
		for _, m := range metrics {
			at := position{device, m.Metric, trefoil.InstantOf(e.From)}
			switch {
			case m.T == nil, len(e.Metrics) > 0 && !slices.Contains(e.Metrics, m.Metric):
				continue
			case device == after.device && m.Metric < after.metric:
				continue
			case device == after.device && m.Metric == after.metric:
				at.next = after.next
			}
			if err := e.series(ctx, counted, at); err != nil {
				return fmt.Errorf("%s of %s: %w", m.Metric, device, err)
			}
			e.readings = counted.lines
		}
		if e.progress != nil {
			e.progress.show("%s %d of %d devices, %d readings", gauge(i+1, len(e.Devices)), i+1, len(e.Devices), e.readings)
		}
	}
	return nil
}

// series copies the rows of one series from a time on.
func (e *export) series(ctx context.Context, out io.Writer, at position) error {
	to := trefoil.InstantOf(e.To)
	if at.next >= to {
		return nil
	}
	body, err := e.server.Readings(ctx, at.device, url.Values{
		"metric": {at.metric}, "format": {string(table.NDJSON)},
		"from": {string(at.next.AppendMillis(nil))}, "to": {string(to.AppendMillis(nil))},
	})
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(out, body); err != nil {
		return fmt.Errorf("copy the readings: %w", err)
	}
	return nil
}

// lineCounter counts the lines that it passes on.
type lineCounter struct {
	w     io.Writer
	lines int
}

func (c *lineCounter) Write(b []byte) (int, error) {
	c.lines += bytes.Count(b, []byte{'\n'})
	return c.w.Write(b)
}

// gauge shows how much of something is done.
func gauge(done, all int) string {
	const width = 20
	n := width * done / max(all, 1)
	return "[" + strings.Repeat("#", n) + strings.Repeat("-", width-n) + "]"
}
