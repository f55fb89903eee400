package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// prelude makes the commands of the documents those of the test: the binary
// under test, on free ports, with make only asked whether it knows the target.
const prelude = `
set -eu -o pipefail
trefoil() { "$BINARY" "$@"; }
go() { if [ "$1 $2" = "run ./cmd/trefoil" ]; then shift 2; trefoil "$@"; else (cd "$ROOT" && GOBIN="$HOME/bin" command go "$@"); fi; }
make() { command make -C "$ROOT" -n "$@" >/dev/null; }
mosquitto_pub() { command mosquitto_pub -p "$MQTT_PORT" "$@"; }
mosquitto_sub() { command mosquitto_sub -p "$MQTT_PORT" "$@"; }
`

// end is what the shell prints after a block, on a line of its own.
const end = "--- end of block ---"

// shell is a shell that runs the blocks of one document.
type shell struct {
	t      *testing.T
	dir    string
	in     io.Writer
	lines  chan string // of what the shell prints; closed when it ends
	server string      // host:port of the HTTP server, "" before there is one
	group  int         // process group of that server, 0 before there is one
}

func openShell(t *testing.T, root string) *shell {
	t.Helper()
	s := &shell{t: t, dir: t.TempDir(), lines: make(chan string, 10000)}
	cmd := exec.Command("bash")
	cmd.Dir = s.dir
	cmd.Env = append(trefoiltest.Environ(), goDirectories(t)...)
	cmd.Env = append(cmd.Env, "BINARY="+binary, "ROOT="+root, "HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir, "XDG_CACHE_HOME="+s.dir,
		"TREFOIL_HTTP=127.0.0.1:0", "TREFOIL_MQTT=127.0.0.1:0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the servers end with it
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in = in
	go func() {
		defer close(s.lines)
		for l := bufio.NewScanner(out); l.Scan(); {
			s.lines <- l.Text()
		}
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.CloseWithError(cmd.Wait()) // how it ended is seen in what it printed
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may have ended
		if s.group > 0 {
			_ = syscall.Kill(-s.group, syscall.SIGKILL) // the server's group is not the shell's
		}
		<-ended
	})
	s.say(prelude)
	return s
}

// goDirectories are the directories of the go command, which lie below the
// real home.
func goDirectories(t *testing.T) (env []string) {
	t.Helper()
	for _, name := range []string{"GOPATH", "GOCACHE", "GOMODCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(out)))
	}
	return env
}

// say gives the shell a line.
func (s *shell) say(format string, args ...any) {
	s.t.Helper()
	if _, err := fmt.Fprintf(s.in, format+"\n", args...); err != nil {
		s.t.Fatalf("write to the shell: %v", err)
	}
}

// write makes a file in the working directory.
func (s *shell) write(name, text string) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// file writes the block, with the addresses of the running server, to a file.
func (s *shell) file(b fence) string {
	s.t.Helper()
	text := b.text
	if s.server != "" {
		text = strings.NewReplacer("localhost:8080", s.server, "127.0.0.1:8080", s.server).Replace(text)
	}
	return s.write(fmt.Sprintf("block-%d.sh", b.line), text)
}

// run runs the block and returns what it printed.
func (s *shell) run(b fence) string {
	s.t.Helper()
	s.say("source %s </dev/null; echo; echo '%s'", s.file(b), end)
	limit := time.NewTimer(patience)
	defer limit.Stop()
	var printed []string
	for {
		select {
		case line, ok := <-s.lines:
			switch {
			case !ok:
				s.t.Fatalf("line %d: the commands\n%s\nfailed and printed\n%s\nserver:\n%s", b.line, b.text, strings.Join(printed, "\n"), s.serverLog())
			case line == end:
				return strings.Join(printed, "\n")
			}
			printed = append(printed, line)
		case <-limit.C:
			s.t.Fatalf("line %d: the commands\n%s\ndid not end in %s and printed\n%s\nserver:\n%s",
				b.line, b.text, patience, strings.Join(printed, "\n"), s.serverLog())
		}
	}
}

// serve starts the block, waits until its server is ready and learns its
// addresses. A server that an earlier block started is stopped before.
func (s *shell) serve(b fence) {
	s.t.Helper()
	s.say("if [ -n \"${server:-}\" ]; then unset TREFOIL_SERVER; kill -TERM -- -$server; wait $server || true; fi")
	s.say("set -m; (source %s) </dev/null >>server.log 2>&1 & server=$!; set +m", s.file(b))
	var at struct {
		HTTP, MQTT string
		PID        int
	}
	defer func() {
		if s.t.Failed() {
			s.t.Logf("line %d: the server printed\n%s", b.line, s.serverLog())
		}
	}()
	await(s.t, fmt.Sprintf("the server of line %d", b.line), func() bool {
		for _, place := range []string{"trefoil-data", "trefoil/demo"} {
			text, err := os.ReadFile(filepath.Join(s.dir, place, "addresses.json"))
			if err == nil && json.Unmarshal(text, &at) == nil && at.HTTP != s.server {
				return true
			}
		}
		return false
	})
	_, port, err := net.SplitHostPort(at.MQTT)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.group, err = syscall.Getpgid(at.PID); err != nil {
		s.t.Fatalf("process group of the server: %v", err)
	}
	s.server = at.HTTP
	s.say("export MQTT_PORT=%s TREFOIL_SERVER=http://%s", port, at.HTTP)
}

func (s *shell) serverLog() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "server.log"))
	if err != nil {
		return "none was started"
	}
	return string(b)
}
