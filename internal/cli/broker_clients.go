package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/trefoil-iot/trefoil/internal/client"
)

type brokerClientsCmd struct {
	clientFlags
	Search string `arg:"" optional:"" help:"Part of a user, a client id or an address."`
	JSON   bool   `name:"json" help:"As JSON, one connection a line."`
}

func (c *brokerClientsCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	var all []client.Connection
	for connection, err := range server.Connections(ctx, c.Search) {
		if err != nil {
			return err
		}
		all = append(all, connection)
	}
	if c.JSON {
		return eachJSON(t, all)
	}
	if len(all) == 0 && t.interactive() {
		t.printf("No connection matches.\n")
		return nil
	}
	now := time.Now()
	rows := make([][]string, 0, len(all))
	for _, a := range all {
		rows = append(rows, []string{
			a.Session, a.User, a.ClientID, a.Protocol + " " + a.Transport, a.Address, span(now.Sub(a.Connected)),
			fmt.Sprintf("%d/%d", a.InFlightIn, a.InFlightOut), strconv.Itoa(a.Queued),
			fmt.Sprintf("%d/%d", a.MessagesIn, a.MessagesOut), a.LastError,
		})
	}
	t.table([]string{"Session", "User", "Client id", "Protocol", "Address", "Connected", "In flight", "Queued", "Messages in/out", "Last error"}, rows)
	return nil
}
