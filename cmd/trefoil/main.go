// Command trefoil is the server and its command line; see trefoil --help.
package main

import (
	"os"

	"github.com/trefoil-iot/trefoil/internal/cli"
)

func main() { os.Exit(cli.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ())) }
