package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/history/table"
)

// convertFile writes the rows of a file in another format.
func convertFile(from *os.File, f table.Format, name string) error {
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read the rows again: %w", err)
	}
	out, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("make the file: %w", err)
	}
	defer out.Close()
	buffered := bufio.NewWriterSize(out, 1<<20)
	if err := convert(from, f, buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// convert writes lines of JSON in another format.
func convert(in io.Reader, f table.Format, out io.Writer) error {
	if f == table.NDJSON {
		if _, err := io.Copy(out, in); err != nil {
			return fmt.Errorf("copy the readings: %w", err)
		}
		return nil
	}
	c := converter{w: table.NewWriter(f, out, table.Shape{})}
	if err := table.ReadNDJSON(in, "", c.take); err != nil {
		return err
	}
	if err := c.flush(); err != nil {
		return err
	}
	return c.w.Close()
}

// converter gathers neighbouring rows of one series.
type converter struct {
	w    table.Writer
	s    history.Series
	unit string
}

const convertedRows = 2000

func (c *converter) take(r table.Row, bad error) error {
	if bad != nil {
		return fmt.Errorf("row %d: %w", r.Line, bad)
	}
	if len(c.s.T) == convertedRows || string(c.s.Device) != r.Device || c.s.Metric != r.Metric {
		if err := c.flush(); err != nil {
			return err
		}
		c.s.Device, c.s.Metric, c.unit = trefoil.DeviceID(r.Device), r.Metric, r.Unit
	}
	c.s.T, c.s.V = append(c.s.T, r.Time), append(c.s.V, r.Value)
	return nil
}

func (c *converter) flush() error {
	if len(c.s.T) == 0 {
		return nil
	}
	err := c.w.Append(c.s, c.unit)
	c.s.T, c.s.V = c.s.T[:0], c.s.V[:0]
	return err
}
