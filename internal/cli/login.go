package cli

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/trefoil-iot/trefoil"
)

type loginCmd struct {
	clientFlags
	User string `default:"admin" placeholder:"NAME" help:"Name of the user. Default: admin."`
}

func (loginCmd) Help() string {
	return `The password is asked for; in a pipe it is the first line of the input, or it comes from $TREFOIL_PASSWORD. The login is stored in the user's configuration directory, readable only by the user, one for each server.

Examples:

    trefoil login
    trefoil login --server https://trefoil.example.org --user anna
    trefoil login < password.txt`
}

func (c *loginCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	user := c.User
	if c.Token == "" {
		password, err := t.password(fmt.Sprintf("Password of %s at %s: ", c.User, server.Server()))
		if err != nil {
			return err
		}
		if c.Token, err = server.Login(ctx, c.User, password); err != nil {
			return wrongPassword(err)
		}
	} else {
		me, err := server.Me(ctx)
		if err != nil {
			return err
		}
		user = me.Name
	}
	logins, err := openTokens(t)
	if err != nil {
		return err
	}
	logins.Servers[server.Server()] = c.Token
	if err := logins.save(); err != nil {
		return err
	}
	t.printf("Logged in at %s as %s; stored in %s\n", server.Server(), user, logins.path)
	return nil
}

// wrongPassword keeps the refusal of a login from being answered with the
// advice to log in.
func wrongPassword(err error) error {
	if trefoil.CodeOf(err) == trefoil.CodeUnauthorized {
		return trefoil.Errorf(trefoil.CodeForbidden, "%w", err)
	}
	return err
}

// password comes from the environment, from the keyboard without an echo, or
// from a pipe.
func (t *terminal) password(prompt string) (string, error) {
	if p := t.lookup("TREFOIL_PASSWORD"); p != "" {
		return p, nil
	}
	if keyboard, ok := t.stdin.(*os.File); ok && term.IsTerminal(int(keyboard.Fd())) {
		fmt.Fprint(t.stderr, prompt)
		b, err := term.ReadPassword(int(keyboard.Fd()))
		fmt.Fprintln(t.stderr)
		if err != nil {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return string(b), nil
	}
	line, err := bufio.NewReader(t.stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if cmp.Or(line, "") == "" {
		return "", usageError("no password: type it, pipe it in, or set TREFOIL_PASSWORD")
	}
	return line, nil
}
