package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// fakeAPI answers as the server does, with what a test puts in. Requests
// without the token "secret" are refused.
type fakeAPI struct {
	answers map[string]string // "METHOD path" to a JSON document
	seen    []string          // "METHOD path?query body"
	frames  []string          // of the live connection

	refuseLogin bool
}

func (f *fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.seen = append(f.seen, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+string(body)))
	if f.refuseLogin {
		problem(w, 401, "unauthorized", "user name or password is wrong")
		return
	}
	if r.Header.Get("Authorization") != "Bearer secret" && r.URL.Path != "/api/v1/login" {
		problem(w, 401, "unauthorized", "token is wrong")
		return
	}
	if r.URL.Path == "/api/v1/live" {
		f.live(w, r)
		return
	}
	answer, ok := f.answers[r.Method+" "+r.URL.Path]
	if !ok {
		problem(w, 404, "not_found", "device ghost does not exist")
		return
	}
	if strings.HasPrefix(answer, `{"code"`) {
		w.WriteHeader(http.StatusConflict)
	}
	io.WriteString(w, answer)
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"type":"about:blank","status":%d,"code":%q,"detail":%q}`, status, code, detail)
}

func (f *fakeAPI) live(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	_, request, err := conn.Read(r.Context())
	if err != nil {
		return
	}
	f.seen = append(f.seen, string(request))
	for _, frame := range f.frames {
		if conn.Write(r.Context(), websocket.MessageText, []byte(frame)) != nil {
			return
		}
	}
	_, _, _ = conn.Read(r.Context()) // until the client leaves
}

// against is a world whose commands talk to f as somebody who is logged in.
func against(t *testing.T, f *fakeAPI) *terminal {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return atHome(t, "TREFOIL_SERVER="+s.URL, "TREFOIL_TOKEN=secret")
}

const pump = `{"id":"pump-7","name":"Feed\tpump","tags":{"site":"roanoke","line":"b"},"profile":"pump","online":false,` +
	`"presence":{"online":false,"reason":"connection lost"},"created":"2026-11-22T20:40:09Z","updated":"2026-11-22T20:40:09Z"}`

func TestDeviceAddShowsTheTokenAndTheFirstStep(t *testing.T) {
	f := &fakeAPI{answers: map[string]string{
		"POST /api/v1/devices": `{"id":"pump-7","name":"pump-7","token":"tok123"}`,
		"GET /api/v1/server":   `{"mqtt":{"address":"0.0.0.0:11883","port":11883}}`,
	}}
	world := against(t, f)
	got := try(t, world, "device", "add", "pump-7", "--tag", "site:roanoke", "--tag", "note:a,b", "--profile", "pump")
	for _, want := range []string{"tok123", "mosquitto_pub -h 127.0.0.1 -p 11883 -u pump-7 -P 'tok123'", "devices/pump-7/telemetry", "curl "} {
		if !strings.Contains(got.out, want) {
			t.Errorf("got %q, want it to contain %q", got.out, want)
		}
	}
	want := `POST /api/v1/devices {"id":"pump-7","tags":{"note":"a,b","site":"roanoke"},"profile":"pump"}`
	if f.seen[0] != want {
		t.Errorf("sent %s\nwant %s", f.seen[0], want)
	}
	if quiet := try(t, world, "device", "add", "pump-7", "-q"); quiet.out != "tok123\n" {
		t.Errorf("with --quiet: got %q, want the token alone", quiet.out)
	}
}

func TestDeviceLsGoesThroughAllPagesAndKeepsColumns(t *testing.T) {
	f := &fakeAPI{answers: map[string]string{"GET /api/v1/devices": `{"items":[` + pump + `]}`}}
	got := try(t, against(t, f), "device", "ls", "pum", "--tag", "site:roanoke", "--offline")
	if want := "pump-7\tFeed pump\tnever connected\tpump\tline:b site:roanoke\n"; got.out != want {
		t.Errorf("got %q, want %q", got.out, want)
	}
	if want := "GET /api/v1/devices?limit=500&online=false&q=pum&tag=site%3Aroanoke"; f.seen[0] != want {
		t.Errorf("asked %s, want %s", f.seen[0], want)
	}
}

func TestDeviceShowHasLatestReadingsWithUnits(t *testing.T) {
	f := &fakeAPI{answers: map[string]string{
		"GET /api/v1/devices/pump-7":         pump,
		"GET /api/v1/devices/pump-7/metrics": `{"items":[{"metric":"flow","unit":"m³/h","t":1700000000000,"v":31.2},{"metric":"state","t":1700000000000,"v":"idle"},{"metric":"new"}]}`,
	}}
	got := try(t, against(t, f), "device", "show", "pump-7")
	for _, want := range []string{"tags\tline:b site:roanoke\n", "flow\t31.2\tm³/h\t", "state\tidle\t\t", "new\t-\t\tnever\n"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("got %q, want it to contain %q", got.out, want)
		}
	}
}

func TestTheServersRefusalIsTheError(t *testing.T) {
	f := &fakeAPI{answers: map[string]string{
		"POST /api/v1/devices": `{"code":"conflict","detail":"device pump-7 exists","errors":[{"location":"body.id","message":"choose another one"}]}`,
	}}
	world := against(t, f)
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{"device add pump-7", "trefoil: device pump-7 exists: body.id choose another one\n", exitFailed},
		{"device show ghost", "trefoil: device ghost does not exist\n", exitNotFound},
		{"device rm ghost --yes", "trefoil: remove ghost: device ghost does not exist\n", exitNotFound},
		{"device ls --token wrong", "trefoil: token is wrong; log in with trefoil login, or give --token\n", exitNotAllowed},
		{"tail --token wrong", "trefoil: token is wrong or was revoked; log in with trefoil login, or give --token\n", exitNotAllowed},
	} {
		got := try(t, world, strings.Fields(c.args)...)
		if got.errors != c.want || got.code != c.code {
			t.Errorf("%s: exit code %d, want %d\n got: %swant: %s", c.args, got.code, c.code, got.errors, c.want)
		}
	}
}

func TestWithoutALoginTheErrorSaysHowToLogIn(t *testing.T) {
	s := httptest.NewServer(&fakeAPI{})
	defer s.Close()
	for _, args := range [][]string{{"device", "ls"}, {"tail"}, {"simulate"}} {
		got := try(t, atHome(t), append(args, "--server", s.URL)...)
		want := "trefoil: not logged in at " + s.URL + "; log in with trefoil login, or give --token\n"
		if !strings.HasSuffix(got.errors, strings.TrimPrefix(want, "trefoil: ")) || got.code != exitNotAllowed {
			t.Errorf("%q: exit code %d, errors %q, want %q", args, got.code, got.errors, want)
		}
	}
}

func TestAWrongPasswordIsNotAnsweredWithTheAdviceToLogIn(t *testing.T) {
	f := &fakeAPI{answers: map[string]string{}}
	world := against(t, f)
	world.env = append(world.env, "TREFOIL_PASSWORD=wrong", "TREFOIL_TOKEN=")
	f.refuseLogin = true
	got := try(t, world, "login")
	if got.code != exitNotAllowed || got.errors != "trefoil: user name or password is wrong\n" {
		t.Errorf("exit code %d, errors %q", got.code, got.errors)
	}
}

func TestWithoutAServerTheErrorSaysHowToGetOne(t *testing.T) {
	s := httptest.NewServer(&fakeAPI{})
	s.Close()
	world := atHome(t)
	for _, args := range [][]string{{"device", "ls"}, {"tail"}, {"simulate"}} {
		got := try(t, world, append(args, "--server", s.URL)...)
		if got.code != exitUnreachable || !strings.Contains(got.errors, "no answer from "+s.URL) ||
			!strings.Contains(got.errors, "; start a server with trefoil serve, or name another one with --server URL") {
			t.Errorf("%q: exit code %d, errors %q", args, got.code, got.errors)
		}
	}
}

func TestLoginIsKeptForTheUserAlone(t *testing.T) {
	f := &fakeAPI{answers: map[string]string{
		"POST /api/v1/login":  `{"token":"secret"}`,
		"GET /api/v1/devices": `{"items":[]}`,
	}}
	s := httptest.NewServer(f)
	defer s.Close()
	home := t.TempDir()
	world := &terminal{env: []string{"HOME=" + home, "TREFOIL_SERVER=" + s.URL + "/"}, stdin: strings.NewReader("pass word\r\n")}
	if got := try(t, world, "login", "--user", "anna"); got.code != exitOK {
		t.Fatalf("exit code %d, errors %q", got.code, got.errors)
	}
	if want := `POST /api/v1/login {"password":"pass word","username":"anna"}`; f.seen[0] != want {
		t.Errorf("sent %s, want %s", f.seen[0], want)
	}
	info, err := os.Stat(filepath.Join(home, ".config", "trefoil", "tokens.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode of the file: got %o, want 600", got)
	}
	if got := try(t, world, "device", "ls"); got.code != exitOK || got.errors != "" {
		t.Errorf("after the login: exit code %d, errors %q", got.code, got.errors)
	}
}

func TestTailPrintsWhatArrivesAndSaysWhatWasLeftOut(t *testing.T) {
	f := &fakeAPI{frames: []string{
		`{"op":"hello","protocol":"trefoil.live.v1","seq":3,"at":1700000000000}`,
		`{"op":"snapshot","id":"tail","seq":3,"at":1,"rows":[{"device":"b","t":1700000001000,"values":{"x":1}},{"device":"a","t":1700000000500,"values":{"door":"open\u001b[2J","t":21.5}}],"devices":[]}`,
		`{"op":"readings","id":"tail","seq":4,"at":2,"skipped":7,"rows":[{"device":"a","t":1700000002000,"values":{"t":21.6}}]}`,
	}}
	world := against(t, f)
	got := try(t, world, "tail", "-n", "3", "--tag", "site:roanoke", "-m", "t")
	lines := strings.Split(strings.TrimSpace(got.out), "\n")
	if len(lines) != 3 || got.code != exitOK {
		t.Fatalf("exit code %d, got %q (errors %q), want three lines", got.code, got.out, got.errors)
	}
	for i, want := range []string{"a                door open [2J  t 21.5", "b                x 1", "a                t 21.6"} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %d: got %q, want the end %q", i+1, lines[i], want)
		}
	}
	if !strings.Contains(got.errors, "7 readings were replaced") {
		t.Errorf("errors: got %q, want the number of skipped readings", got.errors)
	}
	if want := `{"id":"tail","metrics":["t"],"op":"subscribe","tags":["site:roanoke"]}`; f.seen[1] != want {
		t.Errorf("subscribed with %s, want %s", f.seen[1], want)
	}
	asJSON := try(t, world, "tail", "--json", "-n", "1")
	if want := `{"device":"a","t":1700000000500,"values":{"door":"open\u001b[2J","t":21.5}}` + "\n"; asJSON.out != want {
		t.Errorf("as JSON: got %q, want %q", asJSON.out, want)
	}
}
