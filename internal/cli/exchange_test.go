package cli

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/internal/client"
	"github.com/trefoil-iot/trefoil/internal/config"
)

// realServer starts a server on a new database, and gives a world whose
// commands talk to it as its administrator.
func realServer(t *testing.T) (*terminal, *client.Client) {
	t.Helper()
	c := config.Default()
	c.Data, c.HTTP.Address, c.MQTT.Address = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.Background())
	s, err := startServer(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	<-s.Ready()
	anonymous, err := client.New(s.HTTPURL(), "")
	if err != nil {
		t.Fatal(err)
	}
	password, _ := s.AdminPassword()
	token, err := anonymous.Login(t.Context(), "admin", password)
	if err != nil {
		t.Fatal(err)
	}
	return &terminal{env: []string{"HOME=" + t.TempDir(), "TREFOIL_SERVER=" + s.HTTPURL(), "TREFOIL_TOKEN=" + token}}, anonymous.WithToken(token)
}

// fleet gives lines of readings of every kind, at odd times and of odd names.
func fleet() string {
	var b strings.Builder
	begin := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	for i := range 3000 {
		at := begin.Add(time.Duration(i)*10*time.Second + time.Duration(i%7)*time.Microsecond).Format(time.RFC3339Nano)
		fmt.Fprintf(&b, `{"device":"pump-%d","ts":%q,"values":{"flow":%v,"a \"b\", c":%d,"on":%v,"state":%q}}`+"\n",
			i%3, at, math.Round(math.Sin(float64(i))*1e4)/1e4, i, i%2 == 0, []string{"open", "true", "21.5", "x,\ny"}[i%4])
	}
	return b.String()
}

const everything = "2026-01-01"

func exported(t *testing.T, world *terminal, args ...string) string {
	t.Helper()
	got := try(t, world, append([]string{"export", "--from", everything, "-o", "-"}, args...)...)
	if got.code != exitOK {
		t.Fatalf("export %q: exit code %d, errors %q", args, got.code, got.errors)
	}
	return got.out
}

func TestWhatIsExportedIsTheSameAfterAnImport(t *testing.T) {
	t.Chdir(t.TempDir())
	world, _ := realServer(t)
	if err := os.WriteFile("fleet.ndjson", []byte(fleet()), 0o600); err != nil {
		t.Fatal(err)
	}
	got := try(t, world, "import", "fleet.ndjson", "--create")
	if got.code != exitOK || got.out != "12000 readings of 3 devices stored, 0 lines refused\n" {
		t.Fatalf("import: exit code %d, output %q, errors %q", got.code, got.out, got.errors)
	}
	want := exported(t, world, "--format", "ndjson")
	if n := strings.Count(want, "\n"); n != 12000 {
		t.Fatalf("export: got %d rows, want 12000", n)
	}
	for _, format := range []string{"csv", "ndjson", "parquet"} {
		file := "out." + format
		if got := try(t, world, "export", "--from", everything, "--format", format, "-o", file); got.code != exitOK || got.out != "12000 readings of 3 devices in "+file+"\n" {
			t.Fatalf("export %s: exit code %d, output %q, errors %q", format, got.code, got.out, got.errors)
		}
		empty, _ := realServer(t)
		if got := try(t, empty, "import", file, "--create"); got.code != exitOK {
			t.Fatalf("import %s: exit code %d, errors %q", format, got.code, got.errors)
		}
		if got := exported(t, empty, "--format", "ndjson"); got != want {
			t.Errorf("%s: the readings are not the same after export and import", format)
		}
	}
}

func TestAnInterruptedExportGoesOnWhereItWas(t *testing.T) {
	t.Chdir(t.TempDir())
	world, _ := realServer(t)
	if err := os.WriteFile("fleet.ndjson", []byte(fleet()), 0o600); err != nil {
		t.Fatal(err)
	}
	try(t, world, "import", "fleet.ndjson", "--create")
	if got := try(t, world, "export", "--resume", "-o", "none.csv"); got.code != exitUsage || !strings.Contains(got.errors, "nothing to resume") {
		t.Errorf("resume of nothing: exit code %d, errors %q", got.code, got.errors)
	}
	want := exported(t, world, "--format", "csv")
	rows := exported(t, world, "--format", "ndjson")
	for _, cut := range []int{0, 1, 500, len(rows) / 2, len(rows) - 1, len(rows)} {
		plan := fmt.Sprintf(`{"Devices":["pump-0","pump-1","pump-2"],"From":"2026-01-01T00:00:00Z","To":%q,"Format":"csv"}`, time.Now().Format(time.RFC3339))
		for name, text := range map[string]string{"x.csv.part": rows[:cut], "x.csv.part.json": plan} {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := try(t, world, "export", "--resume", "-o", "x.csv"); got.code != exitOK {
			t.Fatalf("resume after %d bytes: exit code %d, errors %q", cut, got.code, got.errors)
		}
		got, err := os.ReadFile("x.csv")
		if err != nil || string(got) != want {
			t.Errorf("resume after %d bytes: got %d bytes, %v; want the %d of an export in one go", cut, len(got), err, len(want))
		}
	}
	left, err := os.ReadDir(".")
	if err != nil || slices.ContainsFunc(left, func(e os.DirEntry) bool { return strings.Contains(e.Name(), partial) }) {
		t.Errorf("partial files are left: %v, %v", left, err)
	}
}

func TestImportOfTheLineProtocolMapsTagsAndFields(t *testing.T) {
	t.Chdir(t.TempDir())
	world, server := realServer(t)
	lines := "# a dump\n" +
		"weather,host=Living\\ Room temperature=21.5,door=\"open\" 1772359200000000000\n" +
		"humidity,host=Living\\ Room value=40i 1772359200000000000\n" +
		"weather temperature=1 1772359200000000000\n" +
		"weather,host=Living-Room temperature=1 1772359200000000000\n" +
		"broken\n"
	if err := os.WriteFile("dump.lp", []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	dry := try(t, world, "import", "dump.lp", "--dry-run", "--create")
	if want := "Living-Room\twould be created\t3\t2026-03-01T10:00:00Z\t2026-03-01T10:00:00Z\tdoor humidity temperature\n"; dry.out != want {
		t.Errorf("dry run: got %q, want %q", dry.out, want)
	}
	if _, err := server.Device(t.Context(), "Living-Room"); err == nil {
		t.Error("the dry run created a device")
	}
	got := try(t, world, "import", "dump.lp", "--create")
	if got.code != exitFailed || got.out != "3 readings of 1 devices stored, 3 lines refused\n" {
		t.Errorf("exit code %d, output %q; want 3 stored and 3 refused", got.code, got.out)
	}
	for _, want := range []string{"dump.lp:4: none of the tags device, device_id, host", "dump.lp:5: \"Living Room\" and \"Living-Room\"", "dump.lp:6: there are no fields"} {
		if !strings.Contains(got.errors, want) {
			t.Errorf("errors: got %q, want %q", got.errors, want)
		}
	}
	if got := try(t, world, "import", "dump.lp", "--strict"); got.code != exitFailed || !strings.Contains(got.errors, "--strict") || strings.Contains(got.errors, "dump.lp:5") {
		t.Errorf("strict: exit code %d, errors %q; want it to stop at line 4", got.code, got.errors)
	}
}

func TestImportTellsTheLineThatTheServerRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	world, _ := realServer(t)
	text := "time,device,temperature\n2026-03-01T10:00:00Z,ghost,1\nsoon,ghost,1\n"
	if err := os.WriteFile("x.csv", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := try(t, world, "import", "x.csv")
	for _, want := range []string{"x.csv:2: device ghost does not exist; --create creates it", "x.csv:3: ts \"soon\" is not a time", "2 lines could not be stored"} {
		if !strings.Contains(got.errors, want) {
			t.Errorf("errors: got %q, want %q", got.errors, want)
		}
	}
}
