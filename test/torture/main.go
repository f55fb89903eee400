// Command torture kills a running server with SIGKILL again and again, while
// publishers and subscribers with persistent sessions go on with their work
// and lose their connections in other ways too, and then looks whether every
// message is where it was promised to be:
//
//   - stored at least once with QoS 1 and exactly once with QoS 2, after it
//     was acknowledged;
//   - received by every persistent subscriber, at least or exactly once, and
//     in the order of its publisher.
//
// It ends with 1 when a promise was broken, and shows the numbers of the
// messages concerned.
//
//	make torture ROUNDS=1000
//	go run ./test/torture -rounds 200 -binary build/trefoil -seed 7
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "torture:", err)
		os.Exit(1)
	}
}

var errBroken = errors.New("promises were broken; the data directory is kept for a look")

func command(ctx context.Context, args []string, stdout io.Writer, stderr *os.File) (err error) {
	o := options{drain: time.Minute}
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.IntVar(&o.rounds, "rounds", 200, "how often the server ends")
	flags.StringVar(&o.binary, "binary", "", "the server; without it, it is built")
	flags.Uint64Var(&o.seed, "seed", rand.Uint64N(1_000_000), "of the moments of the kills")
	flags.IntVar(&o.devices, "devices", 2, "publishers for each QoS and each version of MQTT")
	flags.IntVar(&o.inFlight, "in-flight", 20, "messages that a publisher has in flight")
	flags.DurationVar(&o.up[0], "shortest", 100*time.Millisecond, "shortest life of a server that got ready")
	flags.DurationVar(&o.up[1], "longest", time.Second, "longest life of one")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	if o.rounds < 1 || o.devices < 1 || o.inFlight < 1 || o.up[0] < 0 || o.up[1] <= o.up[0] {
		return errors.New("want positive numbers, and -shortest below -longest")
	}
	if o.dir, err = os.MkdirTemp("", "trefoil-torture-"); err != nil {
		return err
	}
	if o.binary == "" {
		o.binary, err = trefoiltest.Build(o.dir)
	} else {
		o.binary, err = filepath.Abs(o.binary)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "seed %d, data in %s\n", o.seed, o.dir)
	o.progress = progress(stderr, o.rounds)
	r, err := torture(ctx, o)
	if err != nil {
		return fmt.Errorf("%w (seed %d, data in %s)", err, o.seed, o.dir)
	}
	r.print(stdout)
	if len(r.faults) > 0 {
		return errBroken
	}
	return os.RemoveAll(o.dir)
}

// progress shows the rounds on a terminal, and nothing in a pipe.
func progress(w *os.File, rounds int) func(int) {
	if !term.IsTerminal(int(w.Fd())) {
		return func(int) {}
	}
	return func(done int) {
		fmt.Fprintf(w, "\r%d of %d rounds", done, rounds)
		if done == rounds {
			fmt.Fprint(w, "\r\033[K")
		}
	}
}
