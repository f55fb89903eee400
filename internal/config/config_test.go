package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write makes a trefoil.yaml in the working directory of the test.
func write(t *testing.T, content string) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile(DefaultFile, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func load(t *testing.T, in Inputs) Effective {
	t.Helper()
	e, err := Load(in)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return e
}

func origin(e Effective, key string) string {
	for _, s := range e.Settings {
		if s.Key == key {
			return s.Value + " from " + s.Origin
		}
	}
	return "no setting " + key
}

func TestWithoutAnythingTheDefaultsHold(t *testing.T) {
	t.Chdir(t.TempDir())
	e := load(t, Inputs{Env: []string{"PATH=/bin", "HOME=/root"}})
	if diff := cmp.Diff(Default(), e.Config); diff != "" {
		t.Errorf("configuration differs from the defaults (-want +got):\n%s", diff)
	}
	if e.File != "" {
		t.Errorf("file: got %q, want none", e.File)
	}
}

func TestEveryDefaultIsAllowed(t *testing.T) {
	c := Default()
	for _, f := range fields(&c) {
		if err := f.value.Set(f.value.String()); err != nil {
			t.Errorf("%s: its default %q is refused: %v", f.key, f.value.String(), err)
		}
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	write(t, "# comment\nhttp:\n  address: :1\nmqtt:\n  address: :1\nlog: {level: debug}\n")
	e := load(t, Inputs{
		Env:   []string{"TREFOIL_MQTT=:2", "TREFOIL_LOG_LEVEL=warn"},
		Flags: map[string]string{"--log-level": "error"},
	})
	for key, want := range map[string]string{
		"data":         "./trefoil-data from default",
		"http.address": ":1 from trefoil.yaml:3",
		"mqtt.address": ":2 from TREFOIL_MQTT",
		"log.level":    "error from --log-level",
	} {
		if got := origin(e, key); got != want {
			t.Errorf("%s: got %s, want %s", key, got, want)
		}
	}
}

func TestFixedNamesOfTheEnvironment(t *testing.T) {
	t.Chdir(t.TempDir())
	e := load(t, Inputs{Env: []string{
		"TREFOIL_DATA=/d", "TREFOIL_STORE=postgres://u:p@db/t", "TREFOIL_HTTP=:1", "TREFOIL_MQTT=:2",
		"TREFOIL_ADMIN_PASSWORD=s3cret-word",
	}})
	want := Default()
	want.Data, want.Store.URL, want.HTTP.Address, want.MQTT.Address = "/d", "postgres://u:p@db/t", ":1", ":2"
	want.Admin.Password = "s3cret-word"
	if diff := cmp.Diff(want, e.Config); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestANamedFileMustExistAndTheUsualOneNeedNot(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := Load(Inputs{File: "other.yaml"})
	if got, want := errText(err), "other.yaml: cannot be read: no such file or directory"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAFileOfCommentsIsEmpty(t *testing.T) {
	for _, content := range []string{"", "# nothing\n", "---\n", "http:\nlimits:\n", "null\n"} {
		write(t, content)
		if diff := cmp.Diff(Default(), load(t, Inputs{}).Config); diff != "" {
			t.Errorf("%q: (-want +got):\n%s", content, diff)
		}
	}
}

func TestSecretsAreMasked(t *testing.T) {
	t.Chdir(t.TempDir())
	e := load(t, Inputs{Env: []string{"TREFOIL_STORE=postgres://u:hunter2@db/t?password=hunter2", "TREFOIL_ADMIN_PASSWORD=hunter2"}})
	for _, s := range e.Settings {
		if strings.Contains(s.Value, "hunter2") {
			t.Errorf("%s shows the secret: %q", s.Key, s.Value)
		}
	}
	if got, want := origin(e, "admin.password"), "******** from TREFOIL_ADMIN_PASSWORD"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPasswordFileEndsWithItsLine(t *testing.T) {
	t.Chdir(t.TempDir())
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("two words\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e := load(t, Inputs{Env: []string{"TREFOIL_ADMIN_PASSWORD_FILE=" + path}})
	if got, want := e.Config.Admin.Password, "two words"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVariablesOfKubernetesAreNotOurs(t *testing.T) {
	t.Chdir(t.TempDir())
	load(t, Inputs{Env: []string{
		"TREFOIL_PORT=tcp://10.0.0.1:8080", "TREFOIL_SERVICE_HOST=10.0.0.1", "TREFOIL_SERVICE_PORT_HTTP=8080",
		"TREFOIL_PORT_8080_TCP_ADDR=10.0.0.1", "TREFOIL_MQTT_SERVICE_HOST=10.0.0.2", "TREFOIL_MQTT_PORT=tcp://10.0.0.2:1883",
	}})
}

func TestDurationsAndSizesReadTheFormThatTheyShow(t *testing.T) {
	for s, want := range map[string]time.Duration{"30s": 30 * time.Second, "10m": 10 * time.Minute, "1m30s": 90 * time.Second} {
		var d time.Duration
		v := duration{&d, minTimeout, maxTimeout}
		if err := v.Set(s); err != nil || d != want || v.String() != s {
			t.Errorf("%s: got %v shown as %s, error %v", s, d, v, err)
		}
	}
	for s, want := range map[string]struct {
		bytes Size
		shown string
	}{
		"1MiB": {1 << 20, "1MiB"}, "256 KiB": {256 << 10, "256KiB"}, "1.5MiB": {1536 << 10, "1536KiB"},
		"4096": {4096, "4KiB"}, "1MB": {1_000_000, "1000000B"}, "0": {0, "0B"}, "17B": {17, "17B"},
	} {
		got, err := ParseSize(s)
		if err != nil || got != want.bytes || got.String() != want.shown {
			t.Errorf("%s: got %d shown as %s, error %v; want %d, %s", s, got, got, err, want.bytes, want.shown)
		}
	}
	for _, s := range []string{"", "MiB", "-1KiB", "1XB", "0.5B", "NaN", "Inf", "1e30TiB", "1 2"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, got)
		}
	}
}

func errText(err error) string {
	if err == nil {
		return "<nil>"
	}
	return err.Error()
}

func TestAStoreMayBeReachedByItsSocket(t *testing.T) {
	const want = "postgres:///trefoil?host=/var/run/postgresql"
	if got := load(t, Inputs{Env: []string{"TREFOIL_STORE=" + want}}).Config.Store.URL; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
