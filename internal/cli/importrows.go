package cli

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history/table"
	"github.com/trefoil-iot/trefoil/internal/payload/lineprotocol"
)

// maxInfluxLine bounds a line of the line protocol.
const maxInfluxLine = 1 << 20

// readInflux reads the line protocol.
func (c *importCmd) readInflux(r io.Reader, visit table.Visit) error {
	in := bufio.NewScanner(r)
	in.Buffer(make([]byte, 0, 64<<10), maxInfluxLine)
	names := make(map[string]string) // what became which id
	for n := 1; in.Scan(); n++ {
		row := table.Row{Line: n}
		p, err := lineprotocol.Parse(in.Text())
		if err == nil && len(p.Fields) > 0 {
			row.Device, row.Time, err = c.source(p, names)
		}
		if err != nil {
			if err := visit(row, err); err != nil {
				return err
			}
			continue
		}
		for _, f := range p.Fields {
			row.Metric, row.Value = c.metricOf(p.Measurement, f.Name), f.Value
			if err := visit(row, nil); err != nil {
				return err
			}
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read: %w", err)
	}
	return nil
}

// source gives the device and the time of a point.
func (c *importCmd) source(p lineprotocol.Point, names map[string]string) (string, trefoil.Instant, error) {
	if !p.Timed {
		return "", 0, trefoil.Errorf(trefoil.CodeInvalid, "the line has no time")
	}
	tags := c.DeviceTag
	if len(tags) == 0 {
		tags = []string{"device", "device_id", "host"}
	}
	name := c.Device
	if i := slices.IndexFunc(tags, func(t string) bool { return p.Tags[t] != "" }); i >= 0 {
		name = p.Tags[tags[i]]
	}
	if name == "" {
		return "", 0, trefoil.Errorf(trefoil.CodeInvalid, "none of the tags %s names a device; say which one does with --device-tag, or give --device", strings.Join(tags, ", "))
	}
	id := idOf(name)
	if before, ok := names[id]; ok && before != name {
		return "", 0, trefoil.Errorf(trefoil.CodeConflict, "%q and %q would both become device %s; rename one of them", before, name, id)
	}
	names[id] = name
	return id, c.instant(p.Time), nil
}

// idOf makes an id of a name: what an id may not have becomes a hyphen.
func idOf(name string) string {
	id := strings.Map(func(r rune) rune {
		if _, err := trefoil.ParseDeviceID("x" + string(r)); err != nil {
			return '-'
		}
		return r
	}, name)
	return strings.TrimLeft(id, ".")
}

func (c *importCmd) instant(n int64) trefoil.Instant {
	unit := map[string]time.Duration{"ns": time.Nanosecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second}[c.Precision]
	if unit < time.Microsecond {
		return trefoil.Instant(n / 1000)
	}
	return trefoil.Instant(n * unit.Microseconds())
}

func (c *importCmd) metricOf(measurement, field string) string {
	if c.Metric == "{field}" && field == "value" {
		return measurement
	}
	return strings.NewReplacer("{measurement}", measurement, "{field}", field).Replace(c.Metric)
}

// show prints what a dry run found.
func (m *importer) show() {
	rows := make([][]string, 0, len(m.seen))
	for _, id := range slices.Sorted(maps.Keys(m.seen)) {
		s, state := m.seen[id], "exists"
		switch {
		case m.known[id]:
		case m.command.Create:
			state = "would be created"
		default:
			state = "does not exist; --create creates it"
		}
		rows = append(rows, []string{
			id, state, strconv.Itoa(s.readings), s.first.Time().Format(time.RFC3339), s.last.Time().Format(time.RFC3339),
			strings.Join(slices.Sorted(maps.Keys(s.metrics)), " "),
		})
	}
	m.t.table([]string{"Device", "", "Readings", "First", "Last", "Metrics"}, rows)
}
