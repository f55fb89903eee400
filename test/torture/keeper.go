package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// keeper starts and kills the server, always on the same data and ports.
type keeper struct {
	binary, dir string
	random      *rand.Rand
	up          [2]time.Duration // shortest and longest life of a server that got ready

	server   *trefoiltest.Server // nil while there is none
	latest   *trefoiltest.Server // the same, also when it has ended
	ports    []string            // arguments, once they are known
	readyIn  time.Duration       // of the last start
	starting int                 // servers that were killed before they were ready
	stopped  int                 // servers that were told to stop
}

func (k *keeper) start(ctx context.Context) error {
	s, err := trefoiltest.Start(ctx, trefoiltest.Options{
		Binary: k.binary, Dir: k.dir, Args: k.ports, Env: []string{"TREFOIL_LOG_LEVEL=warn"},
	})
	if err != nil {
		return err
	}
	k.server, k.latest, k.readyIn = s, s, s.ReadyIn
	k.ports = []string{"--http", s.HTTP, "--mqtt", s.MQTT}
	return nil
}

// round starts the server and kills it: every fourth time at a moment of its
// start, and otherwise after a while. One in eight is not killed but stopped
// as an operator would.
func (k *keeper) round(ctx context.Context) error {
	limit := patience
	if k.random.IntN(4) == 0 {
		limit = time.Duration(k.random.Float64() * 1.2 * float64(k.readyIn))
	}
	starting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := k.start(starting)
	if limit < patience && errors.Is(err, context.DeadlineExceeded) {
		k.starting++
		return nil // the limit was the kill
	}
	if err != nil {
		return err
	}
	wait(ctx, k.up[0]+time.Duration(k.random.Int64N(int64(k.up[1]-k.up[0]))))
	if k.random.IntN(8) == 0 {
		return k.stop(ctx)
	}
	return k.kill()
}

func (k *keeper) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s := k.server
	k.server = nil
	k.stopped++
	if err := s.Stop(ctx); err != nil {
		return fmt.Errorf("stop the server: %w; it wrote:\n%s", err, s.Output())
	}
	return nil
}

func (k *keeper) kill() error {
	if k.server == nil {
		return nil
	}
	alive := k.alive()
	err := k.server.Kill()
	k.server = nil
	switch {
	case err != nil:
		return fmt.Errorf("kill the server: %w", err)
	case !alive:
		return errors.New("the server ended by itself")
	default:
		return nil
	}
}

// alive reports whether the server runs.
func (k *keeper) alive() bool {
	p, err := os.FindProcess(k.server.PID)
	return err == nil && p.Signal(syscall.Signal(0)) == nil
}
