package cli

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/trefoil-iot/trefoil/internal/client"
	"github.com/trefoil-iot/trefoil/internal/config"
	"github.com/trefoil-iot/trefoil/internal/simulate"
)

type simulateCmd struct {
	clientFlags
	User     string        `placeholder:"NAME" help:"Log in as this user for this run, with --password or $$TREFOIL_PASSWORD."`
	Password string        `placeholder:"TEXT" help:"Password of the user."`
	Devices  int           `short:"n" default:"24" placeholder:"N" help:"How many devices. Default: 24."`
	Every    time.Duration `placeholder:"TIME" help:"Time between two messages of a device, such as 10s. Default: 1s to 10s, by kind."`
	Ramp     time.Duration `default:"5s" placeholder:"TIME" help:"Time until all are connected. Default: 5s."`
	Flaky    float64       `default:"1" placeholder:"FACTOR" help:"How often connections are lost: 0 never, 1 as in the field, 10 ten times as often. Default: 1."`
	Backfill time.Duration `placeholder:"TIME" help:"Send a history of so long first, such as 24h."`
	Seed     uint64        `default:"1" placeholder:"N" help:"The same seed gives the same readings. Default: 1."`
	Prefix   string        `default:"sim-" placeholder:"TEXT" help:"Begins every device id. Default: sim-."`
	MQTT     string        `name:"mqtt" placeholder:"HOST:PORT" help:"MQTT address of the server. Default: what the server says."`
	For      time.Duration `placeholder:"TIME" help:"Stop after so long. Default: at Ctrl-C."`
	Remove   bool          `help:"Remove the devices with their readings at the end."`
	LogLevel string        `default:"warn" placeholder:"LEVEL" help:"debug, info, warn or error. Default: warn."`
}

func (simulateCmd) Help() string {
	return `Registers the devices by REST and lets each publish over an MQTT connection of its own, QoS 1: room sensors, pumps, refrigerated vans and energy meters. What has no acknowledgement is sent again, and what was measured while a connection was lost is sent afterwards, so that nothing is missing in the history.

Examples:

    trefoil simulate
    trefoil simulate -n 1000 --every 10s --ramp 30s
    trefoil simulate --server http://pi.local:8080 --user admin --backfill 24h --remove`
}

// maxSimulated keeps a slip from using up the ports of the machine.
const maxSimulated = 60_000

func (c *simulateCmd) check() error {
	switch {
	case c.Devices < 1 || c.Devices > maxSimulated:
		return usageError(fmt.Sprintf("--devices %d: allowed are 1 to %d", c.Devices, maxSimulated))
	case c.Every != 0 && c.Every < 10*time.Millisecond:
		return usageError(fmt.Sprintf("--every %v: allowed are 10ms and more", c.Every))
	case c.Ramp < 0 || c.Backfill < 0 || c.For < 0 || c.Flaky < 0:
		return usageError("--ramp, --backfill, --for and --flaky: allowed are 0 and more")
	}
	return nil
}

func (c *simulateCmd) Run(ctx context.Context, t *terminal) error {
	if err := c.check(); err != nil {
		return err
	}
	level := config.Default().Log
	if err := level.Level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return usageError(fmt.Sprintf("--log-level %q: allowed are debug, info, warn, error", c.LogLevel))
	}
	server, err := c.login(ctx, t)
	if err != nil {
		return err
	}
	address, err := c.mqttAddress(ctx, server)
	if err != nil {
		return err
	}
	devices := simulate.Plan(c.Seed, c.Devices, c.Prefix)
	for i := range devices {
		devices[i].Every = cmp.Or(c.Every, devices[i].Every)
	}
	members, err := register(ctx, server, devices, t.progress())
	if err != nil {
		return err
	}
	fleet := simulate.New(simulate.Options{
		Dial: dialer(address), Members: members, Ramp: c.Ramp, Flaky: c.Flaky, Log: logger(t.stderr, level),
	})
	if c.Backfill > 0 {
		if err := backfill(ctx, fleet, time.Now().Add(-c.Backfill), t.progress()); err != nil {
			return err
		}
	}
	c.live(ctx, t, fleet)
	if c.Remove {
		return removeAll(context.WithoutCancel(ctx), server, members)
	}
	return nil
}

// live runs the fleet until the time is over or ctx ends.
func (c *simulateCmd) live(ctx context.Context, t *terminal, fleet *simulate.Fleet) {
	if c.For > 0 {
		limited, cancel := context.WithTimeout(ctx, c.For)
		defer cancel()
		ctx = limited
	}
	start := time.Now()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		t.watch(ctx, fleet)
	}()
	fleet.Run(ctx)
	<-watched
	t.printf("%s\n", summary(fleet.Stats(), time.Since(start)))
}

func (c *simulateCmd) login(ctx context.Context, t *terminal) (*client.Client, error) {
	server, err := c.connect(t)
	if err != nil || c.User == "" {
		return server, err
	}
	password := c.Password
	if password == "" {
		if password, err = t.password(fmt.Sprintf("Password of %s at %s: ", c.User, server.Server())); err != nil {
			return nil, err
		}
	}
	token, err := server.Login(ctx, c.User, password)
	return server.WithToken(token), wrongPassword(err)
}

func (c *simulateCmd) mqttAddress(ctx context.Context, server *client.Client) (string, error) {
	if c.MQTT != "" {
		return c.MQTT, nil
	}
	port, err := server.MQTTPort(ctx)
	if err != nil {
		return "", fmt.Errorf("ask the server for its MQTT port: %w", err)
	}
	return net.JoinHostPort(server.Host(), strconv.Itoa(port)), nil
}

func removeAll(ctx context.Context, server *client.Client, members []simulate.Member) error {
	return parallel(ctx, len(members), registrars, func(ctx context.Context, i int) error {
		return server.DeleteDevice(ctx, string(members[i].Device.ID))
	})
}
