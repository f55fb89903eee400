package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFaultNamesPlaceKeyAndWhatIsAllowed(t *testing.T) {
	top := "allowed at the top: data, store, http, mqtt, limits, retention, backup, log"
	for name, c := range map[string]struct {
		file  string
		env   []string
		flags map[string]string
		want  string
	}{
		"slip at the top": {
			file: "htttp: {}\n",
			want: `trefoil.yaml:1: htttp: unknown key (did you mean "http"?); ` + top,
		},
		"slip in a section": {
			file: "# ours\nhttp:\n  adress: :8080\n",
			want: `trefoil.yaml:3: http.adress: unknown key (did you mean "address"?); allowed in http: address, tls`,
		},
		"swapped letters": {
			file: "daat: x\n",
			want: `trefoil.yaml:1: daat: unknown key (did you mean "data"?); ` + top,
		},
		"right key in the wrong section": {
			file: "payload: 1MiB\n",
			want: "trefoil.yaml:1: payload: unknown key (did you mean limits.payload?); " + top,
		},
		"unlike anything": {
			file: "log:\n  colour: true\n",
			want: "trefoil.yaml:2: log.colour: unknown key; allowed in log: level, format",
		},
		"key of several sections": {
			file: "address: :1\n",
			want: "trefoil.yaml:1: address: unknown key; " + top,
		},
		"wrong choice": {
			file: "log:\n  level: verbose\n",
			want: `trefoil.yaml:2: log.level: "verbose" is not allowed; allowed: debug, info, warn, error`,
		},
		"wrong address": {
			file: "http:\n  address: 8080\n",
			want: `trefoil.yaml:2: http.address: "8080" is not an address; allowed: [host]:port, e.g. :8080 or 127.0.0.1:8080`,
		},
		"wrong port": {
			file: "mqtt:\n  address: localhost:mqtt\n",
			want: `trefoil.yaml:2: mqtt.address: "localhost:mqtt" has no valid port; allowed: 0 (any free one) to 65535`,
		},
		"wrong count": {
			file: "limits:\n  metrics: 0\n",
			want: `trefoil.yaml:2: limits.metrics: "0" is not allowed; allowed: a whole number from 1 to 100000`,
		},
		"wrong size": {
			file: "limits:\n  payload: 3 elephants\n",
			want: `trefoil.yaml:2: limits.payload: "3 elephants" is not allowed; allowed: a size from 1KiB to 256MiB, e.g. 256KiB`,
		},
		"wrong duration": {
			file: "limits:\n  connect_timeout: 10\n",
			want: `trefoil.yaml:2: limits.connect_timeout: "10" is not allowed; allowed: a duration from 100ms to 10m, e.g. 30s`,
		},
		"wrong store hides the password": {
			file: "store:\n  url: mysql://u:hunter2@db/t\n",
			want: "trefoil.yaml:2: store.url: is not a database; allowed: sqlite, or postgres://user:password@host/database",
		},
		"payload above packet": {
			file: "limits:\n  payload: 2MiB\n",
			want: "trefoil.yaml:2: limits.payload: 2MiB is larger than limits.packet, which is 1MiB; allowed: at most that",
		},
		"value instead of a section": {
			file: "http: :8080\n",
			want: "trefoil.yaml:1: http: must hold keys; allowed: address, tls",
		},
		"section instead of a value": {
			file: "data:\n  path: x\n",
			want: "trefoil.yaml:2: data: must be one value (directory of everything that the server keeps)",
		},
		"list at the top": {
			file: "- data\n",
			want: "trefoil.yaml:1: must hold keys; " + strings.TrimPrefix(strings.Replace(top, " at the top", "", 1), " "),
		},
		"no value": {
			file: "data:\n",
			want: "trefoil.yaml:1: data: has no value; leave the line out for the default, ./trefoil-data",
		},
		"empty value": {
			file: `data: ""`,
			want: "trefoil.yaml:1: data: is empty",
		},
		"twice": {
			file: "data: a\ndata: b\n",
			want: "trefoil.yaml:2: data: is there twice; allowed: once",
		},
		"two documents": {
			file: "data: a\n---\ndata: b\n",
			want: "trefoil.yaml: has more than one YAML document; allowed: one",
		},
		"password in the file": {
			file: "admin:\n  password: x\n",
			want: "trefoil.yaml:1: admin: is not taken from a file; allowed: TREFOIL_ADMIN_PASSWORD or TREFOIL_ADMIN_PASSWORD_FILE in the environment",
		},
		"environment": {
			env:  []string{"TREFOIL_HTTP=http://localhost:8080"},
			want: `TREFOIL_HTTP: http.address: "http://localhost:8080" is not an address; allowed: [host]:port, e.g. :8080 or 127.0.0.1:8080`,
		},
		"unknown variable": {
			env:  []string{"TREFOIL_HTPT=:1"},
			want: "TREFOIL_HTPT: unknown variable (did you mean TREFOIL_HTTP?); `trefoil config --names` lists all",
		},
		"two passwords": {
			env:  []string{"TREFOIL_ADMIN_PASSWORD=a", "TREFOIL_ADMIN_PASSWORD_FILE=b"},
			want: "TREFOIL_ADMIN_PASSWORD: admin.password: both TREFOIL_ADMIN_PASSWORD and TREFOIL_ADMIN_PASSWORD_FILE are set; allowed: one of them",
		},
		"empty password": {
			env:  []string{"TREFOIL_ADMIN_PASSWORD="},
			want: "TREFOIL_ADMIN_PASSWORD: admin.password: is empty; set a password, or unset the variable for a random one",
		},
		"password file is missing": {
			env:  []string{"TREFOIL_ADMIN_PASSWORD_FILE=none"},
			want: "TREFOIL_ADMIN_PASSWORD_FILE: admin.password: cannot be read: open none: no such file or directory",
		},
		"flag": {
			flags: map[string]string{"--mqtt": "1883"},
			want:  `--mqtt: mqtt.address: "1883" is not an address; allowed: [host]:port, e.g. :8080 or 127.0.0.1:8080`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			write(t, c.file)
			_, err := Load(Inputs{Env: c.env, Flags: c.flags})
			if got := errText(err); got != c.want {
				t.Errorf("\n got: %s\nwant: %s", got, c.want)
			}
		})
	}
}

func TestBrokenYAMLIsOneFaultWithItsLine(t *testing.T) {
	write(t, "data: x\nhttp: {address: [\n")
	_, err := Load(Inputs{})
	got := errText(err)
	if !strings.HasPrefix(got, "trefoil.yaml: is not YAML: ") || !strings.Contains(got, "line ") || strings.Contains(got, "\n") {
		t.Errorf("got %q, want one line that names file and line", got)
	}
}

func TestAllFaultsAreShownAtOnce(t *testing.T) {
	write(t, "htttp: {}\nlog:\n  level: loud\n")
	_, err := Load(Inputs{Env: []string{"TREFOIL_X=1", "TREFOIL_HTTP=x"}, Flags: map[string]string{"--mqtt": "y"}})
	lines := strings.Split(errText(err), "\n")
	want := []string{"5 faults", "trefoil.yaml:1: htttp", "trefoil.yaml:3: log.level", "TREFOIL_HTTP: http.address", "TREFOIL_X: unknown", "--mqtt: mqtt.address"}
	if len(lines) != len(want) {
		t.Fatalf("got %d lines, want %d:\n%s", len(lines), len(want), strings.Join(lines, "\n"))
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("line %d: got %q, want it to contain %q", i+1, lines[i], want[i])
		}
	}
}

func TestAFileThatCannotBeAConfigurationIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trefoil.db")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(maxFile + 1); err != nil {
		t.Fatal(err)
	}
	_, err = Load(Inputs{File: path})
	if got := errText(err); !strings.Contains(got, "a configuration has at most 1MiB") {
		t.Errorf("got %q", got)
	}
}
