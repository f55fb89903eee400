package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/trefoil-iot/trefoil/internal/client"
)

type deviceEventsCmd struct {
	clientFlags
	ID   string `arg:"" help:"Id of the device."`
	JSON bool   `name:"json" help:"As JSON, one event a line."`
}

func (deviceEventsCmd) Help() string {
	return `The server keeps the last 50 events of every device. On a terminal a sentence comes first that says why the device is offline, or since when and from where it is online.

Examples:

    trefoil device events pump-7
    trefoil device events pump-7 --json | jq 'select(.kind == "refused")'`
}

func (c *deviceEventsCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	events, explanation, err := server.Events(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return eachJSON(t, events)
	}
	if t.interactive() {
		t.printf("%s\n\n", printable(explanation))
	}
	rows := make([][]string, 0, len(events))
	for _, e := range events {
		rows = append(rows, []string{e.Time.Local().Format(time.DateTime), e.Kind, e.Address, e.ClientID, what(e)})
	}
	if len(rows) > 0 {
		t.table([]string{"Time", "Event", "Address", "Client id", "What"}, rows)
	}
	return nil
}

// what tells in a few words more about an event.
func what(e client.Event) string {
	switch {
	case e.Kind == "connected":
		return fmt.Sprintf("MQTT %s over %s, keep-alive %g s", e.Protocol, e.Transport, e.KeepAlive)
	case e.Count > 1:
		return fmt.Sprintf("%s (%d times since %s)", e.Detail, e.Count, e.First.Local().Format(time.DateTime))
	case e.Reason == "" || e.Detail == "":
		return e.Reason + e.Detail
	default:
		return e.Reason + ": " + e.Detail
	}
}
