// Command bench measures the figures that Trefoil promises, with the real
// binary, next to Debian's Mosquitto on the same machine, and prints them as
// a table with the goal of each.
//
//	make bench                        five rounds of five seconds
//	make bench ROUNDS=1 SECONDS=2     a quick look
//	make bench ONLY=live,idle         only these groups
//
// The load generators of the yardstick (YARDSTICK, default ../shared/yardstick)
// put the same load on both brokers, interleaved. Machines are noisy: the
// figures are medians, and the ratio says more than the rates.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run with its tools.
type bench struct {
	dir       string // on the disk that is measured; removed at the end
	binary    string
	mosquitto string
	load      string // the yardstick's programs
	idle      string
	rounds    int
	seconds   int
	report    report
}

// groups are the measurements in the order in which they run.
var groups = []struct {
	name    string
	measure func(*bench, context.Context) error
}{
	{"start", (*bench).start},
	{"ingest", (*bench).ingest},
	{"latency", (*bench).latency},
	{"live", (*bench).live},
	{"history", (*bench).history},
	{"idle", (*bench).idleConnections},
	{"reconnect", (*bench).reconnect},
}

func run(ctx context.Context) error {
	b, err := prepare()
	if err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	only := strings.FieldsFunc(os.Getenv("ONLY"), func(r rune) bool { return r == ',' })
	var faults []error
	for _, g := range groups {
		if len(only) > 0 && !slices.Contains(only, g.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", g.name)
		if err := g.measure(b, ctx); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", g.name, err))
		}
	}
	b.report.print(os.Stdout)
	return errors.Join(append(faults, b.report.save("bench-results.json"))...)
}

func prepare() (*bench, error) {
	root, err := trefoiltest.Root()
	if err != nil {
		return nil, err
	}
	b := &bench{}
	if b.rounds, err = number("ROUNDS", 5); err != nil {
		return nil, err
	}
	if b.seconds, err = number("SECONDS", 5); err != nil {
		return nil, err
	}
	if b.mosquitto, err = find("mosquitto", "/usr/sbin/mosquitto"); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(root, "build"), 0o755); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp(filepath.Join(root, "build"), "bench-"); err != nil {
		return nil, err
	}
	if b.binary, err = trefoiltest.Build(b.dir); err != nil {
		return nil, err
	}
	yardstick := os.Getenv("YARDSTICK")
	if yardstick == "" {
		yardstick = filepath.Join(root, "../shared/yardstick")
	}
	if err := b.buildYardstick(yardstick); err != nil {
		return nil, err
	}
	b.report.machine, err = describeMachine(root, b.dir)
	return b, err
}

func number(variable string, otherwise int) (int, error) {
	s := os.Getenv(variable)
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%s=%q: want a number from 1", variable, s)
	}
	return n, nil
}

// server starts the binary on a new data directory.
func (b *bench) server(ctx context.Context, env ...string) (*trefoiltest.Server, string, error) {
	dir, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return nil, "", err
	}
	s, err := b.serverOn(ctx, dir, env...)
	return s, dir, err
}

func (b *bench) serverOn(ctx context.Context, dir string, env ...string) (*trefoiltest.Server, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return trefoiltest.Start(ctx, trefoiltest.Options{Binary: b.binary, Dir: dir, Env: append(env, "TREFOIL_LOG_LEVEL=warn")})
}
