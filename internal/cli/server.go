package cli

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/trefoil-iot/trefoil/internal/app"
	"github.com/trefoil-iot/trefoil/internal/config"
)

// server is a server in this process.
type server interface {
	// Run serves until ctx ends or something fails.
	Run(ctx context.Context) error
	// Ready is closed when everything listens; the addresses hold from then on.
	Ready() <-chan struct{}
	MQTTAddr() string
	MQTTSAddr() string // "" without TLS
	HTTPURL() string
	// AdminPassword is that of the administrator who was made at this start,
	// "" when there was one already, and whether it is a random one.
	AdminPassword() (password string, generated bool)
	// LoginLink opens the web UI logged in. Each works once.
	LoginLink() (string, error)
}

// starter makes a server that does not run yet.
type starter func(ctx context.Context, c config.Config, log *slog.Logger) (server, error)

func startServer(ctx context.Context, c config.Config, log *slog.Logger) (server, error) {
	b := readBuild()
	a, err := app.New(ctx, c, app.Build{Version: b.Version, Commit: b.Commit}, log)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// logger writes to w as the configuration says.
func logger(w io.Writer, c config.Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// addresses tells where the server can be reached.
func (t *terminal) addresses(s server, data string) {
	t.printf("\n    Web UI and API  %s\n", s.HTTPURL())
	t.printf("    MQTT            %s\n", s.MQTTAddr())
	if address := s.MQTTSAddr(); address != "" {
		t.printf("    MQTT over TLS   %s\n", address)
	}
	t.printf("    Data            %s\n", absolute(data))
	if password, generated := s.AdminPassword(); generated {
		t.printf("\n    First start. Log in as admin with this password, which is shown this once:\n\n        %s\n", password)
	}
	t.printf("\n")
}

// absolute gives the path from the root where that is known, because a banner
// is read later, in another directory.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}
