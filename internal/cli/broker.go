package cli

import (
	"context"
	"fmt"
	"strconv"
)

type brokerCmd struct {
	Stats      brokerStatsCmd      `cmd:"" default:"withargs" help:"Show what the MQTT server does now; the default."`
	Clients    brokerClientsCmd    `cmd:"" help:"List MQTT connections."`
	Disconnect brokerDisconnectCmd `cmd:"" help:"End an MQTT connection; its client may come back."`
}

type brokerStatsCmd struct {
	clientFlags
	JSON bool `name:"json" help:"As JSON."`
}

// Help is also that of trefoil broker, whose default this command is.
func (brokerStatsCmd) Help() string {
	return `Other commands: "trefoil broker clients" lists connections, "trefoil broker disconnect" ends one.

Examples:

    trefoil broker
    trefoil broker clients pump
    trefoil broker disconnect 3vqOSqlPzQ0qqVQK`
}

func (c *brokerStatsCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	b, err := server.Broker(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return t.json(b)
	}
	count := func(n uint64) string { return strconv.FormatUint(n, 10) }
	number := func(n int) string { return strconv.Itoa(n) }
	t.table([]string{"MQTT server", ""}, [][]string{
		{"connections", fmt.Sprintf("%d of %d", b.Connections, b.Limits.Connections)},
		{"sessions", number(b.Sessions)},
		{"subscriptions", number(b.Subscriptions)},
		{"retained messages", number(b.Retained)},
		{"queued messages", number(b.Queued)},
		{"messages in", fmt.Sprintf("%d, %.1f/s", b.Totals.MessagesIn, b.Rates.MessagesIn)},
		{"messages out", fmt.Sprintf("%d, %.1f/s", b.Totals.MessagesOut, b.Rates.MessagesOut)},
		{"bytes in", fmt.Sprintf("%d, %.0f/s", b.Totals.BytesIn, b.Rates.BytesIn)},
		{"bytes out", fmt.Sprintf("%d, %.0f/s", b.Totals.BytesOut, b.Rates.BytesOut)},
		{"dropped messages", count(b.Dropped)},
		{"refused logins", count(b.RefusedLogins)},
		{"of unknown names", count(b.RefusedUnknown)},
	})
	return nil
}
