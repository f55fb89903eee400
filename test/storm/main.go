// Command storm lets thousands of devices with persistent sessions come back
// at once after the server was killed, and says how long it takes until all
// are back, and that no reading that was acknowledged is lost.
//
//	make storm
//	go run ./test/storm -devices 10000 -rounds 3 -binary build/trefoil
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// goal is how long the devices may take to be back.
const goal = 10 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "storm:", err)
		os.Exit(1)
	}
}

// storm is one run.
type storm struct {
	options trefoiltest.Options
	server  *trefoiltest.Server
	api     *trefoiltest.Client
	fleet   *fleet
}

func command(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("storm", flag.ContinueOnError)
	devices := flags.Int("devices", 10_000, "devices")
	rounds := flags.Int("rounds", 3, "how often the server is killed")
	interval := flags.Duration("interval", 5*time.Second, "between readings of a device")
	binary := flags.String("binary", "", "the server; without it, it is built")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "trefoil-storm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if *binary == "" {
		*binary, err = trefoiltest.Build(dir)
	} else {
		*binary, err = filepath.Abs(*binary)
	}
	if err != nil {
		return err
	}
	s := &storm{
		options: trefoiltest.Options{Binary: *binary, Dir: dir, Env: []string{"TREFOIL_LOG_LEVEL=warn"}},
		fleet:   &fleet{interval: *interval, gate: make(chan struct{}), faults: make(chan error, *devices)},
	}
	err = s.run(ctx, out, *devices, *rounds)
	if s.server != nil {
		err = errors.Join(err, s.server.Kill())
	}
	return err
}

func (s *storm) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var err error
	if s.server, err = trefoiltest.Start(ctx, s.options); err != nil {
		return err
	}
	s.options.Args = []string{"--http", s.server.HTTP, "--mqtt", s.server.MQTT}
	s.fleet.addr = s.server.MQTT
	return nil
}

func (s *storm) run(ctx context.Context, out io.Writer, devices, rounds int) error {
	if err := s.start(ctx); err != nil {
		return err
	}
	var err error
	if s.api, err = s.server.Admin(ctx); err != nil {
		return err
	}
	if err := s.create(ctx, devices); err != nil {
		return err
	}
	living, end := context.WithCancel(ctx)
	var lives sync.WaitGroup
	defer lives.Wait()
	defer end() // before the wait
	for _, d := range s.fleet.devices {
		lives.Go(func() { s.fleet.run(living, d) })
	}
	if err := s.measure(ctx, out, rounds); err != nil {
		return err
	}
	end()
	lives.Wait()
	return s.verify(ctx, out)
}

// measure lets the fleet connect, and come back from every kill.
func (s *storm) measure(ctx context.Context, out io.Writer, rounds int) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%d devices\tserver ready\tmedian back\t99 %% back\tall back\tfailed tries\t\n", len(s.fleet.devices))
	s.fleet.open()
	if err := s.row(ctx, t, "first connect"); err != nil {
		return err
	}
	for n := 1; n <= rounds; n++ {
		s.fleet.shut()
		if err := s.server.Kill(); err != nil {
			return err
		}
		if err := s.await(ctx, 0); err != nil {
			return err
		}
		if err := s.start(ctx); err != nil {
			return err
		}
		s.fleet.open()
		if err := s.row(ctx, t, fmt.Sprintf("kill %d", n)); err != nil {
			return err
		}
	}
	return t.Flush()
}

// create makes the devices, several at a time, since each is a commit.
func (s *storm) create(ctx context.Context, n int) error {
	s.fleet.devices = make([]*device, n)
	return s.each(func(i int) error {
		d, err := s.api.CreateDevice(ctx, fmt.Sprintf("storm-%05d", i))
		s.fleet.devices[i] = &device{Device: d, source: source(i)}
		return err
	})
}

// each calls do for every device, 32 at a time, and gives the first error.
func (s *storm) each(do func(i int) error) error {
	const parallel = 32
	var work sync.WaitGroup
	errs := make([]error, parallel)
	for w := range parallel {
		work.Go(func() {
			for i := w; i < len(s.fleet.devices) && errs[w] == nil; i += parallel {
				errs[w] = do(i)
			}
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

// await waits until so many devices are online.
func (s *storm) await(ctx context.Context, want int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*goal)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.fleet.online.Load() != int64(want) {
		select {
		case <-tick.C:
		case err := <-s.fleet.faults:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%d devices are online, want %d: %w", s.fleet.online.Load(), want, ctx.Err())
		}
	}
	return nil
}

// row waits until the whole fleet is online, and then for a reading of each
// device, so that the next kill meets a fleet at work.
func (s *storm) row(ctx context.Context, t io.Writer, name string) error {
	want := len(s.fleet.devices)
	if err := s.await(ctx, want); err != nil {
		return err
	}
	back := make([]time.Duration, 0, want)
	for _, d := range s.fleet.devices {
		back = append(back, d.back)
	}
	slices.Sort(back)
	round := func(p float64) time.Duration { return back[int(p*float64(len(back)-1))].Round(time.Millisecond) }
	fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t\n",
		name, s.server.ReadyIn.Round(time.Millisecond), round(0.5), round(0.99), round(1), s.fleet.tries.Swap(0))
	work := time.NewTimer(s.fleet.interval)
	defer work.Stop()
	select {
	case <-work.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// verify looks for every acknowledged reading in history.
func (s *storm) verify(ctx context.Context, out io.Writer) error {
	acked := make([]int, len(s.fleet.devices))
	lost := make([]int, len(s.fleet.devices))
	err := s.each(func(i int) error {
		d := s.fleet.devices[i]
		history, err := s.api.History(ctx, d.ID, "n")
		if err != nil {
			return err
		}
		stored := map[any]bool{}
		for _, v := range history.V {
			stored[v] = true
		}
		acked[i] = int(d.acked.Load())
		for n := 1; n <= acked[i]; n++ {
			if !stored[float64(n)] {
				lost[i]++
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	all, gone := sum(acked), sum(lost)
	fmt.Fprintf(out, "\n%d readings acknowledged, %d of them lost; the goal is to be back in %s\n", all, gone, goal)
	if gone > 0 {
		return errors.New("acknowledged readings are lost")
	}
	return nil
}

func sum(numbers []int) (total int) {
	for _, n := range numbers {
		total += n
	}
	return total
}
