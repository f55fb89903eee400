package e2e

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

func dirNames(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestHealthAndReadinessAreOpenToAll(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	anyone := r.admin.As("")
	if got, err := anyone.Text(t.Context(), "/healthz"); err != nil || strings.TrimSpace(got) != "ok" {
		t.Errorf("/healthz: got %q, %v, want ok", got, err)
	}
	var ready struct{ Ready bool }
	if err := anyone.Call(t.Context(), "GET", "/readyz", nil, &ready); err != nil || !ready.Ready {
		t.Errorf("/readyz: got %+v, %v, want ready", ready, err)
	}
}

func TestMetricsCountWhatHappened(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("counted")
	c := r.connect(d, wire.V5)
	for i, payload := range []string{`{"v":1}`, `{"v":2}`, `broken`} {
		send(t, c, wire.AppendPublish(nil, wire.Publish{Version: wire.V5, QoS: 1, ID: uint16(i + 1), Topic: "devices/counted/telemetry", Payload: []byte(payload)}))
		receive(t, c, puback)
	}
	text, err := r.admin.As("").Text(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`(?m)^trefoil_messages_received_total(\{[^}]*\})? 3$`,
		`(?m)^trefoil_messages_stored_total(\{[^}]*\})? 2$`,
		`(?m)^trefoil_messages_dropped_total\{[^}]*reason="malformed_payload"[^}]*\} 1$`,
		`(?m)^trefoil_mqtt_connections(\{[^}]*\})? 1$`,
		`(?m)^trefoil_queue_depth(\{[^}]*\})? \d+$`,
		`(?m)^trefoil_commit_seconds_count(\{[^}]*\})? \d+$`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("/metrics has nothing that matches %s", want)
		}
	}
	if strings.Contains(text, "counted") {
		t.Error("/metrics names a device; labels must be bounded")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestLogsAreStructured(t *testing.T) {
	r := start(t, trefoiltest.Options{Env: []string{"TREFOIL_LOG_FORMAT=json"}})
	r.stop()
	lines := 0
	for line := range strings.Lines(r.Output()) {
		if !strings.HasPrefix(line, "{") {
			continue // what is said to people at the first start
		}
		lines++
		var entry struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time == "" || entry.Level == "" || entry.Msg == "" {
			t.Errorf("log line %q: got %+v, %v, want time, level and msg", line, entry, err)
		}
	}
	if lines == 0 {
		t.Errorf("no JSON line in the log:\n%s", r.Output())
	}
}

func TestTheFirstPasswordIsPrintedOnce(t *testing.T) {
	dir := t.TempDir()
	s := launch(t, trefoiltest.Options{Dir: dir, NoAdmin: true})
	var printed []string
	await(t, "the password in the output", func() bool {
		printed = regexp.MustCompile(`(?s)password.*?\n\s+(\S{12,})\n`).FindStringSubmatch(s.Output())
		return printed != nil
	})
	client := &trefoiltest.Client{Base: "http://" + s.HTTP}
	login := map[string]string{"username": "admin", "password": printed[1]}
	if err := client.Call(t.Context(), "POST", "/api/v1/login", login, nil); err != nil {
		t.Errorf("log in with the printed password: %v", err)
	}
	login["password"] = "guess"
	wantStatus(t, client.Call(t.Context(), "POST", "/api/v1/login", login, nil), 401, "unauthorized")
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := launch(t, trefoiltest.Options{Dir: dir, NoAdmin: true}); strings.Contains(again.Output(), printed[1]) {
		t.Error("the second start prints the password again")
	}
}

// launch starts a server without logging in.
func launch(t *testing.T, o trefoiltest.Options) *trefoiltest.Server {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o.Binary = binary
	s, err := trefoiltest.Start(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Kill() }) // it may have ended
	return s
}

// refuse runs the binary, wants it to end with an error, and returns what it
// said.
func refuse(t *testing.T, dir string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = dir
	cmd.Env = trefoiltest.Environ()
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("trefoil %s: got %v, want it to refuse; output:\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// wantWords checks that a text for people has what they need.
func wantWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("got %q, want it to contain %q", text, w)
		}
	}
}

func TestWrongConfigurationNamesPlaceAndWhatIsAllowed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "trefoil.yaml")
	if err := os.WriteFile(file, []byte("log:\n  level: info\nhttp:\n  adress: :8080\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantWords(t, refuse(t, dir, "serve", "--config", file), "trefoil.yaml:4", "adress", "address")
	wantWords(t, refuse(t, dir, "serve", "--log-level", "loud", "--data", dir), "--log-level", "loud", "debug", "info", "warn", "error")
}

func TestAPortThatIsTakenNamesTheFlag(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	addr := taken.Addr().String()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"serve", "demo"} {
		wantWords(t, refuse(t, t.TempDir(), command, "--data", t.TempDir(), "--http", addr, "--mqtt", "127.0.0.1:0"), port, "--http")
		wantWords(t, refuse(t, t.TempDir(), command, "--data", t.TempDir(), "--http", "127.0.0.1:0", "--mqtt", addr), port, "--mqtt")
	}
}

func TestASecondServerOnTheSameDataIsRefused(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	wantWords(t, refuse(t, t.TempDir(), "serve", "--data", r.dir, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"), r.dir)
	if err := r.admin.Call(t.Context(), "GET", "/readyz", nil, nil); err != nil {
		t.Errorf("the first server: %v", err)
	}
}
