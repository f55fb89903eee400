package cli

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil/internal/config"
)

var update = flag.Bool("update", false, "write the golden files")

// outcome is what a command left behind.
type outcome struct {
	code        int
	out, errors string
}

// try runs a command in a directory and with a home of its own.
func try(t *testing.T, world *terminal, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	world.stdout, world.stderr = &out, &errs
	if world.stdin == nil {
		world.stdin = strings.NewReader("")
	}
	if world.start == nil {
		world.start = func(context.Context, config.Config, *slog.Logger) (server, error) {
			t.Error("the command started a server")
			return nil, context.Canceled
		}
	}
	code := run(t.Context(), args, world)
	return outcome{code, out.String(), errs.String()}
}

// atHome is a world without any variables but a home directory.
func atHome(t *testing.T, env ...string) *terminal {
	t.Helper()
	t.Chdir(t.TempDir())
	return &terminal{env: append(env, "HOME="+t.TempDir())}
}

func TestHelpIsWorthReading(t *testing.T) {
	golden, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{
		"", "serve", "demo", "config", "login", "device", "device add", "device ls", "device show", "device rm",
		"device token", "device events", "broker", "broker clients", "broker disconnect", "tail", "simulate", "version",
		"export", "import", "storage", "backup", "restore", "rollback", "migrate-store",
	} {
		t.Run(command, func(t *testing.T) {
			t.Setenv("COLUMNS", "80") // kong asks the process, not us
			got := try(t, atHome(t), append(strings.Fields(command), "--help")...)
			if got.code != exitOK || got.errors != "" {
				t.Errorf("exit code %d, errors %q; want 0 and none", got.code, got.errors)
			}
			file := filepath.Join(golden, "help"+strings.ReplaceAll(" "+command, " ", "-")+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got.out), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.out); diff != "" {
				t.Errorf("help changed; if it is meant, run go test -update (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHelpIsThereForAnIncompleteCommandLine(t *testing.T) {
	for _, args := range [][]string{{}, {"device", "--help"}, {"device", "show", "-h"}, {"serve", "--http", ":1", "--help"}} {
		if got := try(t, atHome(t), args...); got.code != exitOK || !strings.HasPrefix(got.out, "Usage: trefoil") {
			t.Errorf("%q: exit code %d, output %q; want the help", args, got.code, got.out)
		}
	}
}

func TestAWrongCommandLineIsOneLineThatSaysTheNextStep(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"serve --htpp x", `trefoil: unknown flag --htpp, did you mean one of "--help", "--http"?; see trefoil serve --help`},
		{"nonsense", `trefoil: unexpected argument nonsense; see trefoil --help`},
		{"devcie", `trefoil: unexpected argument devcie, did you mean "device"?; see trefoil --help`},
		{"device", `trefoil: expected one of "add", "ls", "show", "events", "rm", ...; see trefoil device --help`},
		{"device show", `trefoil: expected "<id>"; see trefoil device show --help`},
		{"device ls --online --offline", `trefoil: --online and --offline can't be used together; see trefoil device ls --help`},
		{"tail -n x", `trefoil: --count: expected a valid 64 bit int but got "x"; see trefoil tail --help`},
		{"tail pump-7 --tag site:x", `trefoil: give either devices or --tag`},
		{"tail --table", `trefoil: --table needs a terminal; in a pipe use --json or nothing`},
		{"demo --devices 2", `trefoil: --devices 2: allowed are 5 (one of each kind) to 60000`},
		{"simulate -n 0", `trefoil: --devices 0: allowed are 1 to 60000`},
		{"simulate --every 1ms", `trefoil: --every 1ms: allowed are 10ms and more`},
		{"simulate --log-level loud", `trefoil: --log-level "loud": allowed are debug, info, warn, error`},
		{"device add x --tag :y", `trefoil: --tag ":y": write it as KEY:VALUE, for example --tag site:roanoke`},
		{"device ls --server localhost", `trefoil: "localhost" is no address of a server; write it as http://localhost:8080`},
		{"device rm x", `trefoil: this cannot be undone and nobody can be asked here: give --yes`},
		{"login", `trefoil: no password: type it, pipe it in, or set TREFOIL_PASSWORD`},
		{"serve --mqtt 1883", `trefoil: --mqtt: mqtt.address: "1883" is not an address; allowed: [host]:port, e.g. :8080 or 127.0.0.1:8080`},
		{"serve --config none.yaml", `trefoil: none.yaml: cannot be read: no such file or directory`},
	} {
		got := try(t, atHome(t), strings.Fields(c.args)...)
		if got.errors != c.want+"\n" || got.code != exitUsage || got.out != "" {
			t.Errorf("%s: exit code %d, output %q\n got: %swant: %s", c.args, got.code, got.out, got.errors, c.want)
		}
	}
}

func TestConfigShowsWhereAValueComesFrom(t *testing.T) {
	world := atHome(t, "TREFOIL_MQTT=:11883", "TREFOIL_ADMIN_PASSWORD=hunter2hunter2")
	if err := os.WriteFile("trefoil.yaml", []byte("http:\n  address: :18080\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := try(t, world, "config", "--data", "/data")
	for _, want := range []string{
		"data\t/data\t--data\n", "http.address\t:18080\ttrefoil.yaml:2\n", "mqtt.address\t:11883\tTREFOIL_MQTT\n",
		"limits.metrics\t500\tdefault\n", "admin.password\t********\tTREFOIL_ADMIN_PASSWORD\n",
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("got %q, want it to contain %q", got.out, want)
		}
	}
	if strings.Contains(got.out, "hunter2") {
		t.Error("the password is shown")
	}
}

func TestConfigNamesReadsNothing(t *testing.T) {
	got := try(t, atHome(t, "TREFOIL_NONSENSE=1"), "config", "--names")
	if got.code != exitOK || !strings.Contains(got.out, "http.address\tTREFOIL_HTTP\t--http\t:8080\t") {
		t.Errorf("exit code %d, got %q", got.code, got.out)
	}
}

func TestVersionNamesGo(t *testing.T) {
	if got := try(t, atHome(t), "version"); got.code != exitOK || !strings.Contains(got.out, "\ngo      go1.") {
		t.Errorf("exit code %d, got %q", got.code, got.out)
	}
	if got := try(t, atHome(t), "version", "--json"); !strings.HasPrefix(got.out, `{"version":`) {
		t.Errorf("got %q, want JSON", got.out)
	}
}
