// Package pgtest runs a real PostgreSQL of its own for tests: a temporary
// cluster with a free port, made with the programs that Debian installs below
// /usr/lib/postgresql. PostgreSQL refuses to run as root, so tests that run as
// root start it as the user postgres.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long a start or a stop may take.
const patience = 30 * time.Second

// Cluster is a PostgreSQL server. Make it with [New], and [Cluster.Close] it
// at the end of the test binary.
type Cluster struct {
	dir     string // of everything
	bin     string // of PostgreSQL's programs
	port    int
	as      *syscall.Credential // nil: this process's own user
	process *exec.Cmd           // nil while it is stopped
	exited  chan struct{}       // closed when process has ended
	output  bytes.Buffer
	count   atomic.Int64 // of databases
	byKey   sync.Map     // URLs of databases that Of made
}

// New makes a cluster and starts it. It commits to the disk like one in
// production.
func New() (_ *Cluster, err error) {
	c := &Cluster{}
	if c.bin, err = programs(); err != nil {
		return nil, err
	}
	if c.as, err = unprivileged(); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", "trefoil-pg-"); err != nil {
		return nil, err
	}
	if err := c.create(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func (c *Cluster) create() (err error) {
	if c.as != nil {
		if err := os.Chown(c.dir, int(c.as.Uid), int(c.as.Gid)); err != nil {
			return err
		}
	}
	initdb := c.command("initdb", "-D", c.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if c.port, err = freePort(); err != nil {
		return err
	}
	return c.Start()
}

// programs finds the newest PostgreSQL.
func programs() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		version := func(path string) int {
			n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 for a name that is no version
			return n
		}
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })), nil
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		return filepath.Dir(path), nil
	}
	return "", errors.New("PostgreSQL is not installed, which these tests need; make test installs it")
}

// unprivileged is the user that runs the server when this process is root.
func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root, and its own user is missing; make test installs it: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func (c *Cluster) data() string { return filepath.Join(c.dir, "data") }

func (c *Cluster) command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, program), args...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.as}
	return cmd
}

// Start starts the server, which must be stopped, and returns when it takes
// connections.
func (c *Cluster) Start() error {
	cmd := c.command("postgres", "-D", c.data(), "-k", c.dir, "-p", strconv.Itoa(c.port),
		"-c", "listen_addresses=127.0.0.1", "-c", "fsync=on", "-c", "max_connections=200")
	c.output.Reset()
	cmd.Stdout, cmd.Stderr = &c.output, &c.output
	started, exited := make(chan error, 1), make(chan struct{})
	go func() {
		// The server ends with the thread that started it, even if this process
		// is killed, so the thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		endWithParent(cmd)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended does not matter
		}
		close(exited)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start postgres: %w", err)
	}
	c.process, c.exited = cmd, exited
	return c.awaitReady()
}

func (c *Cluster) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, c.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-c.exited:
			return fmt.Errorf("postgres ended; its output:\n%s", c.output.String())
		case <-ctx.Done():
			return fmt.Errorf("postgres does not get ready: %w", err)
		}
	}
}

// Stop ends the server as an administrator would: connections are cut, and
// what is committed is written.
func (c *Cluster) Stop() error { return c.end(syscall.SIGINT) }

// Crash ends the server at once. It recovers with its log when it starts
// again.
func (c *Cluster) Crash() error { return c.end(syscall.SIGQUIT) }

func (c *Cluster) end(signal syscall.Signal) error {
	if c.process == nil {
		return nil
	}
	process := c.process
	c.process = nil
	if err := process.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	select {
	case <-c.exited:
		return nil
	case <-deadline.C:
		return errors.Join(errors.New("postgres did not stop in time"), process.Process.Kill())
	}
}

// Close ends the server and removes everything.
func (c *Cluster) Close() error { return errors.Join(c.Crash(), os.RemoveAll(c.dir)) }

// Address is the host and port of the server.
func (c *Cluster) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)) }

// URL is that of a database of the cluster, for its administrator.
func (c *Cluster) URL(database string) string {
	return "postgres://postgres@" + c.Address() + "/" + database + "?sslmode=disable"
}

// Exec runs statements in a database as its administrator.
func (c *Cluster) Exec(t testing.TB, database, statements string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.URL(database))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statements); err != nil {
		t.Fatalf("%s: %v", statements, err)
	}
}

// Of gives the URL of the database of key, which it makes when the key is
// new. It stays until the cluster is closed.
func (c *Cluster) Of(t testing.TB, key string) string {
	t.Helper()
	url, found := c.byKey.Load(key)
	if !found {
		name := fmt.Sprintf("key%d", c.count.Add(1))
		c.Exec(t, "postgres", "create database "+name)
		url, _ = c.byKey.LoadOrStore(key, c.URL(name))
	}
	return url.(string)
}

// Database makes an empty database for one test and gives its URL. It is
// dropped when the test ends.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", c.count.Add(1))
	c.Exec(t, "postgres", "create database "+name)
	t.Cleanup(func() { c.Exec(t, "postgres", "drop database "+name+" with (force)") })
	return c.URL(name)
}
