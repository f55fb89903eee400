package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/internal/config"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// fakeServer is ready at once and runs until its context or its fault ends it.
type fakeServer struct {
	url   string
	fault error
	ready chan struct{}
}

func newFakeServer(url string, fault error) *fakeServer {
	s := &fakeServer{url: url, fault: fault, ready: make(chan struct{})}
	close(s.ready)
	return s
}

func (s *fakeServer) Run(ctx context.Context) error {
	if s.fault != nil {
		return s.fault
	}
	<-ctx.Done()
	return nil
}

func (s *fakeServer) Ready() <-chan struct{}        { return s.ready }
func (s *fakeServer) MQTTAddr() string              { return "localhost:1883" }
func (s *fakeServer) MQTTSAddr() string             { return "localhost:8883" }
func (s *fakeServer) HTTPURL() string               { return s.url }
func (s *fakeServer) AdminPassword() (string, bool) { return "first-password", true }
func (s *fakeServer) LoginLink() (string, error)    { return s.url + "/api/v1/login/link?ticket=x", nil }

func TestServeShowsAddressesAndTheFirstPassword(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	world := atHome(t)
	reader, writer := io.Pipe()
	world.stdout, world.stderr = writer, io.Discard
	var given config.Config
	world.start = func(_ context.Context, c config.Config, _ *slog.Logger) (server, error) {
		given = c
		return newFakeServer("http://localhost:8080", nil), nil
	}
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"serve", "--data", "d"}, world)
		writer.Close()
	}()
	banner := ""
	for b := make([]byte, 4096); !strings.Contains(banner, "first-password"); {
		n, err := reader.Read(b)
		if err != nil {
			t.Fatalf("the command ended after %q: %v", banner, err)
		}
		banner += string(b[:n])
	}
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	cancel()
	if got := <-code; got != exitOK {
		t.Errorf("exit code: got %d, want 0", got)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"http://localhost:8080", "localhost:1883", filepath.Join(wd, "d")} {
		if !strings.Contains(banner, want) {
			t.Errorf("got %q, want it to contain %q", banner, want)
		}
	}
	if given.Data != "d" {
		t.Errorf("data: got %q, want d", given.Data)
	}
}

func TestServeFailsWithTheServersReason(t *testing.T) {
	world := atHome(t)
	world.start = func(context.Context, config.Config, *slog.Logger) (server, error) {
		return nil, errors.New("port 1883 is taken")
	}
	if got := try(t, world, "serve"); got.code != exitFailed || got.errors != "trefoil: port 1883 is taken\n" {
		t.Errorf("exit code %d, errors %q", got.code, got.errors)
	}
	world.start = func(context.Context, config.Config, *slog.Logger) (server, error) {
		return newFakeServer("http://localhost:8080", errors.New("disk on fire")), nil
	}
	if got := try(t, world, "serve"); got.code != exitFailed || !strings.Contains(got.errors, "disk on fire") {
		t.Errorf("exit code %d, errors %q", got.code, got.errors)
	}
}

func TestDemoLeavesTheDataOfAServerAlone(t *testing.T) {
	world := atHome(t)
	if err := os.WriteFile("trefoil.db", []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"demo", "--data", "."}, {"demo", "--data", ".", "--fresh"}} {
		got := try(t, world, args...)
		if want := "trefoil: . holds the data of a server, not of a demo: choose another directory with --data DIR\n"; got.errors != want || got.code != exitUsage {
			t.Errorf("%q: exit code %d, errors %q", args, got.code, got.errors)
		}
	}
	if b, err := os.ReadFile("trefoil.db"); err != nil || string(b) != "precious" {
		t.Errorf("the database: got %q, %v", b, err)
	}
}

func TestFreshThrowsAnEarlierDemoAwayAndNothingElse(t *testing.T) {
	world := atHome(t)
	var data string
	world.start = func(_ context.Context, c config.Config, _ *slog.Logger) (server, error) {
		data = c.Data
		return nil, errors.New("enough")
	}
	try(t, world, "demo")
	if !strings.HasSuffix(data, filepath.Join(".cache", "trefoil", "demo")) {
		t.Fatalf("data of the demo: got %q, want a place in the cache directory", data)
	}
	file := filepath.Join(data, sqlite.FileName)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	try(t, world, "demo")
	if there, err := exists(file); !there {
		t.Errorf("a second demo lost the data of the first one (%v)", err)
	}
	try(t, world, "demo", "--fresh")
	if there, err := exists(file); there || err != nil {
		t.Errorf("after --fresh: data there %v, %v; want none", there, err)
	}
}

func TestDemoDoesNotReadTheConfigurationOfAServer(t *testing.T) {
	world := atHome(t, "TREFOIL_DATA=/precious", "TREFOIL_STORE=postgres://db/precious")
	if err := os.WriteFile("trefoil.yaml", []byte("data: /precious\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var given config.Config
	world.start = func(_ context.Context, c config.Config, _ *slog.Logger) (server, error) {
		given = c
		return nil, errors.New("enough")
	}
	try(t, world, "demo", "--mqtt", ":11883")
	if strings.Contains(given.Data, "precious") || given.Store.URL != "sqlite" || given.MQTT.Address != ":11883" {
		t.Errorf("got data %q, store %q, MQTT %q", given.Data, given.Store.URL, given.MQTT.Address)
	}
}

// The demo's own server refuses it here, so its error is that of the login.
func TestDemoEndsItsServerWhenItCannotGoOn(t *testing.T) {
	api := httptest.NewServer(&fakeAPI{})
	defer api.Close()
	world := atHome(t)
	world.start = func(context.Context, config.Config, *slog.Logger) (server, error) {
		return newFakeServer(api.URL, nil), nil
	}
	got := try(t, world, "demo")
	if got.code != exitNotAllowed || !strings.Contains(got.errors, "log in to the demo's server") {
		t.Errorf("exit code %d, errors %q", got.code, got.errors)
	}
}
