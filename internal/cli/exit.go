package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/client"
	"github.com/trefoil-iot/trefoil/internal/config"
)

// The exit codes; trefoil --help lists them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitNotAllowed  = 4
	exitNotFound    = 5
)

// usageError is a command line that can be parsed and makes no sense.
type usageError string

func (e usageError) Error() string { return string(e) }

// report prints the error of a command, with the next step where there is
// one, and gives its exit code. That a command was interrupted is no error.
func (t *terminal) report(err error) int {
	if err == nil || errors.Is(err, context.Canceled) {
		return exitOK
	}
	var faults config.Faults
	var usage usageError
	var unreachable *client.Unreachable
	code, hint := exitFailed, ""
	switch {
	case errors.As(err, &faults), errors.As(err, &usage):
		code = exitUsage
	case errors.As(err, &unreachable):
		code, hint = exitUnreachable, "; start a server with trefoil serve, or name another one with --server URL"
	default:
		code, hint = exitOf(trefoil.CodeOf(err))
	}
	fmt.Fprintf(t.stderr, "trefoil: %v%s\n", err, hint)
	return code
}

func exitOf(code trefoil.Code) (exit int, hint string) {
	switch code {
	case trefoil.CodeUnauthorized:
		return exitNotAllowed, "; log in with trefoil login, or give --token"
	case trefoil.CodeForbidden:
		return exitNotAllowed, ""
	case trefoil.CodeNotFound:
		return exitNotFound, ""
	default:
		return exitFailed, ""
	}
}
