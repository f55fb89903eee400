package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/client"
	"github.com/trefoil-iot/trefoil/internal/history/table"
)

type importCmd struct {
	clientFlags
	Files     []string `arg:"" name:"file" help:"Files to read."`
	Format    string   `default:"auto" enum:"auto,csv,ndjson,parquet,influx" help:"auto, csv, ndjson, parquet, or influx for the InfluxDB line protocol. Default: auto."`
	Device    string   `short:"d" placeholder:"ID" help:"Device of readings that name none."`
	DeviceTag []string `sep:"none" placeholder:"TAG" help:"Influx: tags that name the device, the first that a line has. Default: device, device_id, host."`
	Metric    string   `default:"{field}" placeholder:"NAME" help:"Influx: name of the metric, of {measurement} and {field}. Default: {field}, and the measurement for fields called value."`
	Precision string   `default:"ns" enum:"ns,us,ms,s" help:"Influx: unit of the times: ns, us, ms or s. Default: ns."`
	Create    bool     `help:"Create devices that do not exist."`
	DryRun    bool     `help:"Only read, and show what would be stored and created."`
	Strict    bool     `help:"Stop at the first line that cannot be stored."`
}

func (importCmd) Help() string {
	return `Stores readings of files. What is reported as stored is durable; storing the same file again changes nothing. Lines that cannot be stored are reported and counted, and the exit code is 1 then.

Examples:

    trefoil import readings.csv --dry-run
    trefoil import readings.parquet --create
    trefoil import weather.csv --device station-1
    trefoil import dump.lp --format influx --device-tag sensor --metric '{measurement}.{field}' --precision s --create`
}

// maxTold is the number of bad lines that are told one by one.
const maxTold = 20

func (c *importCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	m := &importer{command: c, t: t, server: server, known: make(map[string]bool), seen: make(map[string]*seenDevice), progress: t.progress()}
	for d, err := range server.Devices(ctx, client.Query{}) {
		if err != nil {
			return err
		}
		m.known[d.ID] = true
	}
	for _, name := range c.Files {
		if err = m.file(ctx, name); err != nil {
			break
		}
	}
	if c.DryRun {
		m.show()
	} else {
		m.progress.show("%d readings of %d devices stored, %d lines refused", m.stored, len(m.seen), m.refused)
	}
	m.progress.done()
	if err == nil && m.refused > 0 {
		err = fmt.Errorf("%d lines could not be stored", m.refused)
	}
	return err
}

// importer reads files and sends their readings.
type importer struct {
	command  *importCmd
	t        *terminal
	server   *client.Client
	known    map[string]bool        // devices of the server
	seen     map[string]*seenDevice // devices of the files
	progress *progress

	name    string // of the file
	size    int64
	read    *readCounter
	body    bytes.Buffer // of the next request
	lines   []int        // of the file, for every line of body
	stored  int
	refused int
}

// seenDevice is what the files have of a device.
type seenDevice struct {
	readings    int
	metrics     map[string]bool
	first, last trefoil.Instant
}

// importBody is how much is sent at a time.
const importBody = 4 << 20

func (m *importer) file(ctx context.Context, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open the file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open the file: %w", err)
	}
	m.name, m.size, m.read = name, info.Size(), &readCounter{r: f}
	visit := func(r table.Row, bad error) error { return m.row(ctx, r, bad) }
	format, err := m.command.formatOf(f)
	if err != nil {
		return err
	}
	switch format {
	case "csv":
		err = table.ReadCSV(m.read, m.command.Device, visit)
	case "ndjson":
		err = table.ReadNDJSON(m.read, m.command.Device, visit)
	case "parquet":
		err = table.ReadParquet(f, m.size, m.command.Device, visit)
	default:
		err = m.command.readInflux(m.read, visit)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return m.send(ctx)
}

// formatOf tells the format by the beginning of the file or its name.
func (c *importCmd) formatOf(f *os.File) (string, error) {
	if c.Format != "auto" {
		return c.Format, nil
	}
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the file: %w", err)
	}
	head = head[:n]
	switch ext := strings.ToLower(filepath.Ext(f.Name())); {
	case bytes.HasPrefix(head, []byte("PAR1")):
		return "parquet", nil
	case bytes.HasPrefix(bytes.TrimSpace(head), []byte("{")):
		return "ndjson", nil
	case ext == ".lp" || ext == ".influx" || ext == ".line":
		return "influx", nil
	case ext == ".csv":
		return "csv", nil
	}
	line, _, _ := strings.Cut(string(head), "\n")
	names := strings.Split(strings.ToLower(strings.TrimSpace(line)), ",")
	if slices.ContainsFunc(names, func(n string) bool { return slices.Contains([]string{"time", "ts", "timestamp", "ms", "_time"}, n) }) {
		return "csv", nil
	}
	return "influx", nil
}

// row takes one reading.
func (m *importer) row(ctx context.Context, r table.Row, bad error) error {
	if bad == nil {
		bad = m.check(r)
	}
	if bad != nil {
		return m.refuse(r.Line, bad)
	}
	if m.seen[r.Device] == nil {
		if err := m.meet(ctx, r); err != nil {
			return err
		}
	}
	if m.seen[r.Device] == nil {
		return m.refuse(r.Line, trefoil.Errorf(trefoil.CodeNotFound, "device %s does not exist; --create creates it", r.Device))
	}
	m.seen[r.Device].note(r)
	if m.command.DryRun {
		return nil
	}
	m.write(r)
	if m.body.Len() < importBody {
		return nil
	}
	return m.send(ctx)
}

func (m *importer) check(r table.Row) error {
	if r.Device == "" {
		return trefoil.Errorf(trefoil.CodeInvalid, "it names no device; give one with --device")
	}
	if _, err := trefoil.ParseDeviceID(r.Device); err != nil {
		return err
	}
	if _, err := trefoil.ParseMetric(r.Metric); err != nil {
		return err
	}
	if !r.Value.Valid() {
		return trefoil.Errorf(trefoil.CodeInvalid, "the value cannot be stored")
	}
	return nil
}

// meet notes a device, and creates it if it may.
func (m *importer) meet(ctx context.Context, r table.Row) error {
	if !m.known[r.Device] {
		if !m.command.Create {
			if m.command.DryRun {
				m.seen[r.Device] = newSeen(r)
			}
			return nil
		}
		if !m.command.DryRun {
			if _, err := m.server.CreateDevice(ctx, client.NewDevice{ID: r.Device}); err != nil && trefoil.CodeOf(err) != trefoil.CodeConflict {
				return fmt.Errorf("create %s: %w", r.Device, err)
			}
		}
	}
	m.seen[r.Device] = newSeen(r)
	return nil
}

func newSeen(r table.Row) *seenDevice {
	return &seenDevice{metrics: make(map[string]bool), first: r.Time, last: r.Time}
}

func (s *seenDevice) note(r table.Row) {
	s.readings++
	s.metrics[r.Metric] = true
	s.first, s.last = min(s.first, r.Time), max(s.last, r.Time)
}

// write adds a line to the next request. Times are texts, whose unit nobody
// has to guess.
func (m *importer) write(r table.Row) {
	b := m.body.AvailableBuffer()
	b = trefoil.TextValue(r.Device).AppendJSON(append(b, `{"device":`...))
	b = r.Time.Time().AppendFormat(append(b, `,"ts":"`...), "2006-01-02T15:04:05.999999Z07:00")
	b = trefoil.TextValue(r.Metric).AppendJSON(append(b, `","values":{`...))
	b = r.Value.AppendJSON(append(b, ':'))
	m.body.Write(append(b, "}}\n"...))
	m.lines = append(m.lines, r.Line)
}

// send stores what was gathered.
func (m *importer) send(ctx context.Context) error {
	if m.body.Len() == 0 {
		return nil
	}
	got, err := m.server.Import(ctx, &m.body, m.command.Strict)
	if err != nil {
		return fmt.Errorf("after %d stored readings: %w", m.stored, err)
	}
	m.stored += got.Stored
	m.refused += got.Refused
	for _, e := range got.Errors {
		m.tell(m.lines[min(max(e.Line-1, 0), len(m.lines)-1)], errors.New(e.Message))
	}
	m.body.Reset()
	m.lines = m.lines[:0]
	if m.command.Strict && got.Refused > 0 {
		return errors.New("stopped at a line that cannot be stored (--strict)")
	}
	m.progress.show("%s %s, %d readings stored", gauge(int(m.read.n>>10), int(m.size>>10)), m.name, m.stored)
	return nil
}

// refuse counts a line that is not sent.
func (m *importer) refuse(line int, bad error) error {
	m.refused++
	m.tell(line, bad)
	if m.command.Strict {
		return errors.New("stopped at a line that cannot be stored (--strict)")
	}
	return nil
}

func (m *importer) tell(line int, bad error) {
	if m.refused <= maxTold {
		fmt.Fprintf(m.t.stderr, "trefoil: %s:%d: %s\n", m.name, line, printable(bad.Error()))
	}
}

// readCounter knows how much of a file was read.
type readCounter struct {
	r io.Reader
	n int64
}

func (c *readCounter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}
