package cli

import (
	"context"

	"github.com/trefoil-iot/trefoil/internal/config"
)

type serveCmd struct {
	serverFlags
}

func (serveCmd) Help() string {
	return `The first start makes the administrator "admin": with the password in $TREFOIL_ADMIN_PASSWORD, or in the file that $TREFOIL_ADMIN_PASSWORD_FILE names, or with a random one that is printed once. Ctrl-C or SIGTERM stops in order: what was accepted is stored and acknowledged first.

Every setting can stand in trefoil.yaml and in the environment; a flag is stronger than both. "trefoil config --names" lists them.

Examples:

    trefoil serve
    trefoil serve --data /var/lib/trefoil --http 127.0.0.1:8080
    TREFOIL_MQTT=:11883 trefoil serve --config /etc/trefoil.yaml`
}

func (c *serveCmd) Run(ctx context.Context, t *terminal) error {
	effective, err := config.Load(c.inputs(t))
	if err != nil {
		return err
	}
	s, err := t.start(ctx, effective.Config, logger(t.stderr, effective.Config.Log))
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-s.Ready():
		t.printf("Trefoil is ready.\n")
		t.addresses(s, effective.Config.Data)
	}
	return <-ended
}
