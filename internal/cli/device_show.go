package cli

import (
	"context"
	"time"

	"github.com/trefoil-iot/trefoil/internal/client"
)

type deviceShowCmd struct {
	clientFlags
	ID   string `arg:"" help:"Id of the device."`
	JSON bool   `name:"json" help:"As JSON."`
}

func (c *deviceShowCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	d, err := server.Device(ctx, c.ID)
	if err != nil {
		return err
	}
	metrics, err := server.Metrics(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return t.json(struct {
			client.Device
			Metrics []client.Metric `json:"metrics"`
		}{d, metrics})
	}
	now := time.Now()
	about := [][]string{
		{"name", d.Name},
		{"state", presence(d, now)},
		{"profile", d.Profile},
		{"tags", tagList(d.Tags)},
		{"added", d.Created.Local().Format(time.DateTime)},
	}
	if d.Explanation != "" {
		about = append(about, []string{"why", d.Explanation})
	}
	t.table([]string{"Device", d.ID}, about)
	rows := make([][]string, 0, len(metrics))
	for _, m := range metrics {
		when := "never"
		if m.T != nil {
			when = ago(now, millis(*m.T))
		}
		rows = append(rows, []string{m.Metric, showValue(m.V), m.Unit, when})
	}
	if len(rows) > 0 {
		t.printf("\n")
		t.table([]string{"Metric", "Latest", "Unit", "When"}, rows)
	}
	return nil
}

func millis(ms float64) time.Time { return time.UnixMicro(int64(ms * 1000)) }
