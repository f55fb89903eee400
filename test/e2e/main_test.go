// Package e2e tests the real binary: with foreign MQTT clients, over real
// sockets, with signals, and through the commands of the documents.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/test/pgtest"
	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// patience is how long a test waits for what must happen before it fails.
const patience = 30 * time.Second

// binary is the path of the binary under test, set once by TestMain.
var binary string

// cluster holds the servers' databases when E2E_STORE is postgres; otherwise
// it is nil and they use SQLite. Set once by TestMain.
var cluster *pgtest.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "trefoil-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = trefoiltest.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Getenv("E2E_STORE") == "postgres" {
		if cluster, err = pgtest.New(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer cluster.Close()
	}
	return m.Run()
}

// rig is a running server with a client of its administrator.
type rig struct {
	*trefoiltest.Server
	t     *testing.T
	admin *trefoiltest.Client
	dir   string
}

// start starts a server on a new data directory, unless o names one. It is
// killed when the test ends; tests that want a clean stop ask for it.
func start(t *testing.T, o trefoiltest.Options) *rig {
	t.Helper()
	o.Binary = binary
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if cluster != nil { // arguments are stronger, for tests that choose their store
		o.Env = append(o.Env, "TREFOIL_STORE="+cluster.Of(t, o.Dir))
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := trefoiltest.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{Server: s, t: t, dir: o.Dir}
	t.Cleanup(func() {
		if err := s.Kill(); err != nil {
			t.Errorf("kill the server: %v", err)
		}
		if t.Failed() {
			t.Logf("output of the server:\n%s", s.Output())
		}
	})
	if r.admin, err = s.Admin(ctx); err != nil {
		t.Fatal(err)
	}
	return r
}

// in is r for a subtest.
func (r *rig) in(t *testing.T) *rig {
	sub := *r
	sub.t = t
	return &sub
}

// restart starts a server on the data of r, which must have ended.
func (r *rig) restart() *rig {
	r.t.Helper()
	return start(r.t, trefoiltest.Options{Dir: r.dir})
}

// stop stops the server as an operator would, and wants a clean end.
func (r *rig) stop() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		r.t.Fatalf("stop: %v", err)
	}
}

// device creates a device.
func (r *rig) device(id string) trefoiltest.Device {
	r.t.Helper()
	d, err := r.admin.CreateDevice(r.t.Context(), id)
	if err != nil {
		r.t.Fatalf("create device %s: %v", id, err)
	}
	if d.Token == "" {
		r.t.Fatalf("create device %s: got no token", id)
	}
	return d
}

// history gives all readings of the metric.
func (r *rig) history(device, metric string) trefoiltest.Series {
	r.t.Helper()
	s, err := r.admin.History(r.t.Context(), device, metric)
	if err != nil {
		r.t.Fatalf("history of %s %s: %v", device, metric, err)
	}
	return s
}

// call calls the API as the administrator and fails the test on an error.
func (r *rig) call(method, path string, in, out any) {
	r.t.Helper()
	if err := r.admin.Call(r.t.Context(), method, path, in, out); err != nil {
		r.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// deviceView is what the API says about a device.
type deviceView struct {
	ID       string
	Online   bool
	Presence struct{ Reason string }
}

// awaitPresence waits until the device is online or not, as wanted.
func (r *rig) awaitPresence(id string, online bool) deviceView {
	r.t.Helper()
	var d deviceView
	await(r.t, fmt.Sprintf("%s online=%v", id, online), func() bool {
		r.call("GET", "/api/v1/devices/"+id, nil, &d)
		return d.Online == online
	})
	return d
}

// await polls for a condition of another process, which cannot be waited for
// in another way.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %s in vain for: %s", patience, what)
		}
	}
}

// wantStatus checks that err is the status and code of a problem document.
func wantStatus(t *testing.T, err error, status int, code string) {
	t.Helper()
	var got *trefoiltest.StatusError
	if !errors.As(err, &got) || got.Status != status || got.Code != code {
		t.Errorf("got %v, want status %d with code %q", err, status, code)
	}
}
