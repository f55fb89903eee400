// Package cli is the command line of Trefoil. Every command is one file; [Run]
// reads the arguments, runs the command, and turns its error into one line and
// an exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
)

// root is the whole command line. Flags that several commands share are in
// serverFlags and clientFlags.
type root struct {
	Help helpFlag `short:"h" help:"Show help, also of a command: trefoil COMMAND --help."`

	Serve        serveCmd        `cmd:"" group:"server" help:"Run the server."`
	Demo         demoCmd         `cmd:"" group:"server" help:"Run a server with a virtual fleet, to look around."`
	Config       configCmd       `cmd:"" group:"server" help:"Show the effective configuration and where each value comes from."`
	Restore      restoreCmd      `cmd:"" group:"server" help:"Put a backup in place of the database of a server that is stopped."`
	Rollback     rollbackCmd     `cmd:"" group:"server" help:"Put the database from before the last upgrade back."`
	MigrateStore migrateStoreCmd `cmd:"" group:"server" help:"Move everything to PostgreSQL, or back to a file."`
	Login        loginCmd        `cmd:"" group:"client" help:"Log in to a server; the commands below use the login."`
	Device       deviceCmd       `cmd:"" group:"client" help:"Add, list, show and remove devices."`
	Broker       brokerCmd       `cmd:"" group:"client" help:"Show the MQTT server and its connections; end one."`
	Storage      storageCmd      `cmd:"" group:"client" help:"Show where the disk goes and for how long it lasts."`
	Backup       backupCmd       `cmd:"" group:"client" help:"Copy the database of a running server."`
	Export       exportCmd       `cmd:"" group:"client" help:"Write readings to a file: CSV, JSON lines or Parquet."`
	Import       importCmd       `cmd:"" group:"client" help:"Store readings of files: CSV, JSON lines, Parquet, InfluxDB line protocol."`
	Tail         tailCmd         `cmd:"" group:"client" help:"Watch readings as they arrive."`
	Simulate     simulateCmd     `cmd:"" group:"client" help:"Run a virtual fleet against a server."`
	Version      versionCmd      `cmd:"" group:"other" help:"Show the version."`
}

const description = "Trefoil takes in what devices send by MQTT and HTTP, stores it, and shows it live."

const details = `First steps:

    trefoil demo                          a server with 24 virtual devices
    trefoil serve                         a server of your own
    trefoil login                         then, in another terminal
    trefoil device add pump-7 --tag site:roanoke
    trefoil tail pump-7

Exit codes: 0 done, 1 failed, 2 wrong command line or configuration, 3 no answer from the server, 4 not logged in or not allowed, 5 no such object.`

// terminal is the world of a command: its streams, the environment, and how
// to make a server.
type terminal struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	env    []string // KEY=value
	start  starter
}

// lookup gives a variable of the environment; the last one of a name counts.
func (t *terminal) lookup(name string) string {
	value := ""
	for _, kv := range t.env {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			value = v
		}
	}
	return value
}

func (t *terminal) printf(format string, args ...any) {
	fmt.Fprintf(t.stdout, format, args...)
}

// Run runs the command that args name and gives the exit code of the process,
// see trefoil --help. SIGINT and SIGTERM end a command in order; a second one
// ends the process at once.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, args, &terminal{stdin: stdin, stdout: stdout, stderr: stderr, env: env, start: startServer})
}

func run(ctx context.Context, args []string, t *terminal) int {
	var grammar root
	parser, err := newParser(&grammar, t)
	if err != nil {
		fmt.Fprintln(t.stderr, "trefoil:", err)
		return exitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	command, err := parser.Parse(args)
	var wrong *kong.ParseError
	switch {
	case errors.Is(err, errHelpShown):
		return exitOK
	case errors.As(err, &wrong):
		fmt.Fprintf(t.stderr, "trefoil: %v; see %s --help\n", err, strings.TrimSpace("trefoil "+commandOf(wrong.Context)))
		return exitUsage
	case err != nil:
		fmt.Fprintln(t.stderr, "trefoil:", err)
		return exitUsage
	}
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(t)
	return t.report(command.Run())
}

func newParser(grammar *root, t *terminal) (*kong.Kong, error) {
	k, err := kong.New(grammar,
		kong.Name("trefoil"),
		kong.Description(description),
		kong.NoDefaultHelp(),
		kong.Writers(t.stdout, t.stderr),
		kong.ConfigureHelp(kong.HelpOptions{NoExpandSubcommands: true, Compact: true, WrapUpperBound: 100}),
		kong.ExplicitGroups([]kong.Group{
			{Key: "server", Title: "On the server:"},
			{Key: "client", Title: "With a running server:"},
			{Key: "other", Title: "Other:"},
			{Key: "connection", Title: "Which server, and as whom:"},
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("the command line is wrong itself: %w", err)
	}
	k.Model.Detail = details
	return k, nil
}

func commandOf(c *kong.Context) string {
	if c == nil {
		return ""
	}
	path := []string{}
	for _, p := range c.Path {
		if p.Command != nil {
			path = append(path, p.Command.Name)
		}
	}
	return strings.Join(path, " ")
}

// errHelpShown ends the reading of the command line.
var errHelpShown = errors.New("help was shown")

type helpFlag bool

// BeforeReset runs before anything is checked, so that help is there for a
// command line that is not complete.
func (helpFlag) BeforeReset(c *kong.Context) error {
	if err := c.PrintUsage(false); err != nil {
		return err
	}
	return errHelpShown
}

// IsBool tells kong that the flag takes no value.
func (helpFlag) IsBool() bool { return true }
