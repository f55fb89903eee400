package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// interactive reports whether a person reads the output.
func (t *terminal) interactive() bool {
	f, ok := t.stdout.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// width is the number of columns of the terminal, 0 in a pipe.
func (t *terminal) width() int {
	f, ok := t.stdout.(*os.File)
	if !ok {
		return 0
	}
	w, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return w
}

// table prints rows as a table for people, and in a pipe as lines with
// tabs between the columns and without the header.
func (t *terminal) table(header []string, rows [][]string) {
	if !t.interactive() {
		for _, r := range rows {
			fmt.Fprintln(t.stdout, strings.Join(clean(r), "\t"))
		}
		return
	}
	fmt.Fprintln(t.stdout, renderTable(header, rows, t.width()))
}

func renderTable(header []string, rows [][]string, width int) string {
	w := table.NewWriter()
	style := table.StyleLight
	style.Options = table.OptionsNoBordersAndSeparators
	style.Format.Header = text.FormatDefault
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "  "
	style.Size.WidthMax = width
	w.SetStyle(style)
	w.AppendHeader(toRow(header))
	for _, r := range rows {
		w.AppendRow(toRow(clean(r)))
	}
	return w.Render()
}

func toRow(cells []string) table.Row {
	r := make(table.Row, len(cells))
	for i, c := range cells {
		r[i] = c
	}
	return r
}

// clean takes control characters out of what a server or a device sent, so
// that it can neither shift columns nor command the terminal.
func clean(cells []string) []string {
	out := make([]string, len(cells))
	for i, c := range cells {
		out[i] = printable(c)
	}
	return out
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// json prints v as one line.
func (t *terminal) json(v any) error {
	e := json.NewEncoder(t.stdout)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the output: %w", err)
	}
	return nil
}

// ago says how long ago something was, in one unit.
func ago(now, then time.Time) string {
	if then.IsZero() {
		return "never"
	}
	if now.Sub(then) < time.Second {
		return "now"
	}
	return span(now.Sub(then)) + " ago"
}

// span writes a duration in one unit.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
}

// progress is a line that is written over on a terminal. In a pipe only the
// last one is printed.
type progress struct {
	out  io.Writer
	live bool
	last string
}

func (t *terminal) progress() *progress { return &progress{out: t.stdout, live: t.interactive()} }

func (p *progress) show(format string, args ...any) {
	p.last = fmt.Sprintf(format, args...)
	if p.live {
		fmt.Fprint(p.out, "\r\x1b[K", p.last)
	}
}

func (p *progress) done() {
	switch {
	case p.last == "":
	case p.live:
		fmt.Fprintln(p.out)
	default:
		fmt.Fprintln(p.out, p.last)
	}
}
