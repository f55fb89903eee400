package cli

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/trefoil-iot/trefoil/internal/client"
	"github.com/trefoil-iot/trefoil/internal/config"
)

type storageCmd struct {
	clientFlags
	JSON bool `name:"json" help:"As JSON."`
}

func (storageCmd) Help() string {
	return `Shows the size of the database and what takes it, how fast it grows, when the disk is full, how long readings are kept, and what retention has removed.`
}

func (c *storageCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	s, err := server.Storage(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return t.json(s)
	}
	now := time.Now()
	t.table([]string{"Database", s.Engine}, overview(s, now))
	t.printf("\n")
	t.table([]string{"Table", "Size", "Readings"}, tableRows(s))
	t.printf("\n")
	t.table([]string{"Kept", "Raw", "Summaries of hours"}, ruleRows(s))
	if len(s.Dropped) > 0 {
		t.printf("\n")
		t.table([]string{"Removed", "Why", "What", "From", "To", "Readings"}, droppedRows(s, now))
	}
	return nil
}

func overview(s client.Storage, now time.Time) [][]string {
	rows := [][]string{
		{"size", config.Approximate(s.Bytes) + free(s.Reusable)},
		{"readings", fmt.Sprintf("%d in %d series, %.2f bytes each, everything included", s.Readings, s.Series, s.BytesPerReading)},
	}
	if s.Oldest != nil {
		rows = append(rows, []string{"oldest reading", s.Oldest.Local().Format(time.DateTime)})
	}
	rows = append(rows, []string{"growth", growth(s)})
	if d := s.Disk; d != nil {
		rows = append(rows, []string{"disk", fmt.Sprintf("%s free of %s", config.Approximate(d.Free), config.Approximate(d.Total))})
	}
	if b := s.Backup; b.Directory != "" {
		last := "none yet"
		if b.Last != nil {
			last = "last " + ago(now, *b.Last)
		}
		if b.Fault != "" {
			last += "; the latest try failed: " + b.Fault
		}
		rows = append(rows, []string{"backups", fmt.Sprintf("every %s in %s, %s", b.Every, b.Directory, last)})
	}
	return rows
}

func free(reusable int64) string {
	if reusable == 0 {
		return ""
	}
	return fmt.Sprintf(", %s of it free for new readings", config.Approximate(reusable))
}

func growth(s client.Storage) string {
	if s.GrowthPerDay == 0 {
		return "known after a day"
	}
	text := config.Approximate(int64(s.GrowthPerDay)) + " a day"
	if s.FullInDays != nil {
		text += fmt.Sprintf("; the disk is full in %.0f days", math.Floor(*s.FullInDays))
	}
	return text
}

func tableRows(s client.Storage) (rows [][]string) {
	for _, table := range s.Tables {
		name, readings := table.Name, "-"
		if table.From != nil {
			name, readings = "readings of "+table.From.UTC().Format("2006-01"), fmt.Sprint(table.Readings)
		}
		rows = append(rows, []string{name, config.Approximate(table.Bytes), readings})
	}
	return rows
}

func ruleRows(s client.Storage) (rows [][]string) {
	for _, r := range s.Retention {
		what := "everything else"
		switch {
		case r.Metric != "":
			what = r.Profile + ": " + r.Metric
		case r.Profile != "":
			what = r.Profile
		}
		rows = append(rows, []string{what, r.Raw, r.Hourly})
	}
	return rows
}

func droppedRows(s client.Storage, now time.Time) (rows [][]string) {
	for _, d := range s.Dropped {
		rows = append(rows, []string{
			ago(now, d.Time), d.Reason, d.What, d.From.Format(time.DateOnly), d.To.Format(time.DateOnly), fmt.Sprint(d.Readings),
		})
	}
	return rows
}
