// Package trefoiltest runs the real binary of Trefoil for tests and
// benchmarks: it builds it, starts it on free ports, learns its addresses,
// talks to its HTTP API, and stops or kills it.
package trefoiltest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// AdminPassword is the password of the user admin in every server that
// [Start] starts on a new data directory.
const AdminPassword = "correct horse battery staple"

// Options say how a server is started.
type Options struct {
	Binary  string   // see [Build]
	Dir     string   // data directory; kept when the server ends
	Command string   // "serve" or "demo"; "" means "serve"
	Args    []string // further arguments, after --data, --http and --mqtt
	Env     []string // further variables, "KEY=value"
	NoAdmin bool     // give no password of the administrator, so that the first start makes one
	WorkDir string   // working directory of the process; "" means Dir
}

// Server is a running process that has said that it is ready.
type Server struct {
	HTTP    string        // host:port
	MQTT    string        // host:port
	PID     int           // of the process
	ReadyIn time.Duration // from the start of the process until it was ready

	cmd    *exec.Cmd
	output *Output
	exited chan struct{} // closed when the process has ended
	err    error         // of the process; read it after exited
}

// Start starts the binary and returns when it is ready, or an error that
// holds the process's output if it ended or did not get ready before ctx.
func Start(ctx context.Context, o Options) (*Server, error) {
	start := time.Now()
	s, err := launch(o)
	if err != nil {
		return nil, err
	}
	if err := s.awaitReady(ctx, filepath.Join(o.Dir, "addresses.json")); err != nil {
		_ = s.Kill() // the error to report is that it never got ready
		return nil, fmt.Errorf("%s: %w; its output:\n%s", s.cmd, err, s.output)
	}
	s.ReadyIn = time.Since(start)
	return s, nil
}

func launch(o Options) (*Server, error) {
	command := o.Command
	if command == "" {
		command = "serve"
	}
	args := append([]string{command, "--data", o.Dir, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"}, o.Args...)
	s := &Server{cmd: exec.Command(o.Binary, args...), output: &Output{}, exited: make(chan struct{})}
	s.cmd.Dir = o.WorkDir
	if s.cmd.Dir == "" {
		s.cmd.Dir = o.Dir
	}
	s.cmd.Env = append(Environ(), o.Env...)
	if !o.NoAdmin {
		s.cmd.Env = append(s.cmd.Env, "TREFOIL_ADMIN_PASSWORD="+AdminPassword)
	}
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.Binary, err)
	}
	s.PID = s.cmd.Process.Pid
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	return s, nil
}

// Environ is the environment of this process without the settings of another
// server.
func Environ() []string {
	ours := func(variable string) bool { return strings.HasPrefix(variable, "TREFOIL_") }
	return slices.DeleteFunc(os.Environ(), ours)
}

// awaitReady polls for the file that the server writes when it is ready. A
// file that a killed predecessor left has another process id.
func (s *Server) awaitReady(ctx context.Context, path string) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		var file struct {
			HTTP, MQTT string
			PID        int
		}
		if b, err := os.ReadFile(path); err == nil && json.Unmarshal(b, &file) == nil && file.PID == s.PID {
			s.HTTP, s.MQTT = file.HTTP, file.MQTT
			return nil
		}
		select {
		case <-tick.C:
		case <-s.exited:
			return fmt.Errorf("ended before it was ready: %w", errors.Join(s.err))
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", ctx.Err())
		}
	}
}

// Signal sends SIGTERM and does not wait.
func (s *Server) Signal() error { return s.cmd.Process.Signal(syscall.SIGTERM) }

// Stop sends SIGTERM and waits for the end. The error is that of the process:
// nil means that it stopped cleanly. A process that outlives ctx is killed.
func (s *Server) Stop(ctx context.Context) error {
	if err := s.Signal(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return s.Wait(ctx)
}

// Wait waits for the end of the process and returns its error.
func (s *Server) Wait(ctx context.Context) error {
	select {
	case <-s.exited:
		return s.err
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("still running: %w; its output:\n%s", ctx.Err(), s.output), s.Kill())
	}
}

// Kill ends the process with SIGKILL and waits until it is gone. A process
// that has ended already is no error.
func (s *Server) Kill() error {
	err := s.cmd.Process.Kill()
	<-s.exited
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Output is what the process has written so far to its outputs.
func (s *Server) Output() string { return s.output.String() }

// URL is the address of path on the server, "http://127.0.0.1:1234/path".
func (s *Server) URL(path string) string { return "http://" + s.HTTP + path }

// Output collects what a process writes. Safe for concurrent use.
type Output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
