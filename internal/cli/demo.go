package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/trefoil-iot/trefoil/internal/client"
	"github.com/trefoil-iot/trefoil/internal/config"
	"github.com/trefoil-iot/trefoil/internal/simulate"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

type demoCmd struct {
	Data    string  `placeholder:"DIR" help:"Directory of the demo's data. Default: trefoil/demo in the user's cache directory."`
	Fresh   bool    `help:"Throw the data of an earlier demo away."`
	HTTP    *string `name:"http" placeholder:"ADDR" help:"Web UI, REST and live WebSocket. Default: :8080."`
	MQTT    *string `name:"mqtt" placeholder:"ADDR" help:"MQTT for devices. Default: :1883."`
	Devices int     `short:"n" default:"24" placeholder:"N" help:"How many virtual devices. Default: 24."`
	Seed    uint64  `default:"1" placeholder:"N" help:"The same seed gives the same readings. Default: 1."`
	Flaky   float64 `default:"1" placeholder:"FACTOR" help:"How often connections are lost, see trefoil simulate. Default: 1."`
}

func (demoCmd) Help() string {
	return `Starts a server and, in the same process, virtual devices that connect to it by real MQTT over the loopback: room sensors, pumps, refrigerated vans and energy meters. A new demo first sends itself a simulated history of 24 hours, so that the charts have something to show. Prints a link that opens the web UI logged in. The data stays for the next time.

Examples:

    trefoil demo
    trefoil demo --fresh
    trefoil demo --mqtt :11883 --http :18080 --data ./demo-data`
}

func (c *demoCmd) Run(ctx context.Context, t *terminal) error {
	if c.Devices < 5 || c.Devices > maxSimulated {
		return usageError(fmt.Sprintf("--devices %d: allowed are 5 (one of each kind) to %d", c.Devices, maxSimulated))
	}
	dir, err := c.directory(t)
	if err != nil {
		return err
	}
	effective, err := config.Load(c.inputs(t, dir))
	if err != nil {
		return err
	}
	// The server outlives ctx for as long as the devices need to say goodbye.
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	s, err := t.start(serving, effective.Config, logger(t.stderr, effective.Config.Log))
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(serving) }()
	select {
	case err := <-ended:
		return err
	case <-s.Ready():
	}
	living, end := context.WithCancelCause(ctx)
	served := make(chan error, 1)
	go func() {
		err := <-ended
		end(errServerEnded)
		served <- err
	}()
	err = c.live(living, t, s, effective.Config)
	stop()
	if errors.Is(err, context.Canceled) || errors.Is(err, errServerEnded) {
		err = nil // what the server says is the reason, or there is none
	}
	return errors.Join(err, <-served)
}

// errServerEnded ends the fleet of a demo whose server failed.
var errServerEnded = errors.New("the server ended")

// live fills the server and lets the fleet live until ctx ends.
func (c *demoCmd) live(ctx context.Context, t *terminal, s server, cfg config.Config) error {
	t.printf("Trefoil's demo is running.\n")
	t.addresses(s, cfg.Data)
	server, err := enter(ctx, s)
	if err != nil {
		return err
	}
	members, err := register(ctx, server, simulate.Plan(c.Seed, c.Devices, ""), t.progress())
	if err != nil {
		return err
	}
	link, err := s.LoginLink()
	if err != nil {
		return err
	}
	t.printf("\n    Open %s\n\n", link)
	fleet := simulate.New(simulate.Options{
		Dial: dialer(s.MQTTAddr()), Members: members, Ramp: 2 * time.Second, Flaky: c.Flaky,
		Log: logger(t.stderr, cfg.Log),
	})
	since, err := lastReading(ctx, server, members)
	if err != nil {
		return err
	}
	if time.Since(since) > 2*historyStep {
		if err := backfill(ctx, fleet, since, t.progress()); err != nil {
			return err
		}
	}
	t.printf("The devices connect now. Stop with Ctrl-C.\n")
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		t.watch(ctx, fleet)
	}()
	start := time.Now()
	fleet.Run(ctx)
	<-watched
	t.printf("%s\n", summary(fleet.Stats(), time.Since(start)))
	return nil
}

// enter logs in with a link of the server's own making.
func enter(ctx context.Context, s server) (*client.Client, error) {
	c, err := client.New(s.HTTPURL(), "")
	if err != nil {
		return nil, err
	}
	link, err := s.LoginLink()
	if err != nil {
		return nil, err
	}
	token, err := c.Redeem(ctx, link)
	if err != nil {
		return nil, fmt.Errorf("log in to the demo's server: %w", err)
	}
	return c.WithToken(token), nil
}

// lastReading is where the history of an earlier demo ends, at most a day ago.
func lastReading(ctx context.Context, server *client.Client, members []simulate.Member) (time.Time, error) {
	last := time.Now().Add(-24 * time.Hour)
	for _, m := range members {
		metrics, err := server.Metrics(ctx, string(m.Device.ID))
		if err != nil {
			return last, fmt.Errorf("look for an earlier history: %w", err)
		}
		for _, x := range metrics {
			if x.T != nil && millis(*x.T).After(last) {
				last = millis(*x.T)
			}
		}
	}
	return last, nil
}

// inputs are the settings of a demo: no file, so that nobody's real server is
// filled with virtual devices by the way, and only warnings in the log.
func (c *demoCmd) inputs(t *terminal, dir string) config.Inputs {
	in := config.Inputs{NoFile: true, Env: t.env, Flags: map[string]string{"--data": dir, "--store": "sqlite"}}
	if c.HTTP != nil {
		in.Flags["--http"] = *c.HTTP
	}
	if c.MQTT != nil {
		in.Flags["--mqtt"] = *c.MQTT
	}
	if t.lookup("TREFOIL_LOG_LEVEL") == "" {
		in.Flags["--log-level"] = "warn"
	}
	return in
}

// marker is in every directory that a demo made. Only such a one is thrown
// away, and only such a one or an unused one is filled.
const marker = ".trefoil-demo"

func (c *demoCmd) directory(t *terminal) (string, error) {
	dir := c.Data
	if dir == "" {
		dir = cacheDir(t)
	}
	ours, err := exists(filepath.Join(dir, marker))
	if err != nil {
		return "", err
	}
	used, err := exists(filepath.Join(dir, sqlite.FileName))
	switch {
	case err != nil:
		return "", err
	case used && !ours:
		return "", usageError(fmt.Sprintf("%s holds the data of a server, not of a demo: choose another directory with --data DIR", dir))
	case c.Fresh && ours:
		if err := sqlite.Erase(dir); err != nil {
			return "", fmt.Errorf("throw the earlier demo away: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make the directory of the demo: %w; choose another one with --data DIR", err)
	}
	if err := os.WriteFile(filepath.Join(dir, marker), nil, 0o600); err != nil {
		return "", fmt.Errorf("make the directory of the demo: %w; choose another one with --data DIR", err)
	}
	return dir, nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// cacheDir is the place of the demo's data: it may be deleted at any time.
func cacheDir(t *terminal) string {
	base := t.lookup("XDG_CACHE_HOME")
	if home := t.lookup("HOME"); base == "" && home != "" {
		base = filepath.Join(home, ".cache")
	}
	if base == "" {
		base = os.TempDir()
	}
	return filepath.Join(base, "trefoil", "demo")
}
