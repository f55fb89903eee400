package cli

import (
	"context"
)

type deviceTokenCmd struct {
	clientFlags
	ID    string `arg:"" help:"Id of the device."`
	Quiet bool   `short:"q" help:"Only the token."`
}

func (c *deviceTokenCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	token, err := server.NewToken(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.Quiet {
		t.printf("%s\n", token)
		return nil
	}
	t.printf("The new token of %s, shown this once; the old one has ended:\n\n    %s\n", c.ID, token)
	return nil
}
