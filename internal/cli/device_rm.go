package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

type deviceRmCmd struct {
	clientFlags
	ID  []string `arg:"" help:"Ids of the devices."`
	Yes bool     `short:"y" help:"Do not ask; needed in a pipe."`
}

func (c *deviceRmCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	if !c.Yes {
		if err := t.confirm(fmt.Sprintf("Remove %s with all readings?", strings.Join(c.ID, ", "))); err != nil {
			return err
		}
	}
	for _, id := range c.ID {
		if err := server.DeleteDevice(ctx, id); err != nil {
			return fmt.Errorf("remove %s: %w", id, err)
		}
		if t.interactive() {
			t.printf("Removed %s\n", id)
		}
	}
	return nil
}

// confirm asks a question on a terminal. Nobody is there to answer in a pipe,
// so that takes a flag.
func (t *terminal) confirm(question string) error {
	f, ok := t.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return usageError("this cannot be undone and nobody can be asked here: give --yes")
	}
	fmt.Fprintf(t.stderr, "%s [y/N] ", question)
	var answer string
	if _, err := fmt.Fscanln(f, &answer); err != nil && err != io.EOF && answer != "" {
		return fmt.Errorf("read the answer: %w", err)
	}
	if !strings.EqualFold(answer, "y") && !strings.EqualFold(answer, "yes") {
		return usageError("nothing was removed")
	}
	return nil
}
