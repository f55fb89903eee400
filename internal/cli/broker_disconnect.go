package cli

import "context"

type brokerDisconnectCmd struct {
	clientFlags
	Session string `arg:"" help:"Session, as trefoil broker clients shows it."`
}

func (c *brokerDisconnectCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	if err := server.Disconnect(ctx, c.Session); err != nil {
		return err
	}
	if t.interactive() {
		t.printf("Disconnected. To keep a device out, give it a new token: trefoil device token ID\n")
	}
	return nil
}
