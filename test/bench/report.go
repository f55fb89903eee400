package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is one measured number with its goal.
type figure struct {
	Name     string   `json:"name"`
	Goal     string   `json:"goal"` // "" when there is none
	Measured float64  `json:"measured"`
	Unit     string   `json:"unit"`
	Beside   string   `json:"beside,omitempty"` // what else was measured, for people
	Ratio    *float64 `json:"ratio_to_mosquitto,omitempty"`
	Reached  *bool    `json:"reached,omitempty"`
}

// report gathers the figures of a run.
type report struct {
	machine machine
	figures []figure
}

func (r *report) add(f figure) { r.figures = append(r.figures, f) }

// atMost adds a figure that should not be above the goal.
func (r *report) atMost(name string, measured, goal float64, unit, beside string) {
	reached := measured <= goal
	r.add(figure{Name: name, Goal: fmt.Sprintf("≤ %g %s", goal, unit), Measured: measured, Unit: unit, Beside: beside, Reached: &reached})
}

// ratio adds a rate whose ratio to Mosquitto's should not be below the goal.
func (r *report) ratio(name string, ours, mosquitto, goal float64, beside string) {
	ratio := ours / mosquitto
	reached := ratio >= goal
	r.add(figure{
		Name: name, Goal: fmt.Sprintf("≥ %g × Mosquitto", goal), Measured: ours, Unit: "msg/s",
		Beside: beside, Ratio: &ratio, Reached: &reached,
	})
}

func (r *report) print(w io.Writer) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tgoal\tmeasured\tratio\treached\t")
	for _, f := range r.figures {
		ratio, reached := "", ""
		if f.Ratio != nil {
			ratio = fmt.Sprintf("%.2f", *f.Ratio)
		}
		if f.Reached != nil {
			reached = map[bool]string{true: "yes", false: "no"}[*f.Reached]
		}
		fmt.Fprintf(t, "%s\t%s\t%s %s\t%s\t%s\t%s\n", f.Name, f.Goal, rounded(f.Measured), f.Unit, ratio, reached, f.Beside)
	}
	_ = t.Flush() // to a terminal or a pipe; there is no one to tell
	m := r.machine
	fmt.Fprintf(w, "\n%s, %d cores, %s; one fsync of 4 KiB takes %.2f ms (median)\ncommit %s, %s\n",
		m.CPU, m.Cores, m.Kernel, m.FsyncMS, m.Commit, m.Time.Format(time.DateTime))
}

// rounded writes a number with about three digits.
func rounded(f float64) string {
	switch {
	case f >= 1000:
		s := fmt.Sprintf("%.0f", f)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
		return s
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	default:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", f), "0"), ".")
	}
}

func (r *report) save(path string) error {
	b, err := json.MarshalIndent(map[string]any{"machine": r.machine, "figures": r.figures}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}
