package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/auth"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/live"
	"github.com/trefoil-iot/trefoil/internal/payload"
	"github.com/trefoil-iot/trefoil/internal/registry"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

const password = "correct horse"

// start is what the clock of every test shows.
var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// bench is the handler with a real database, commit loop, registry and
// accounts behind it.
type bench struct {
	t        *testing.T
	server   *httptest.Server
	registry *registry.Registry
	accounts *auth.Accounts
	ledger   *ingest.Ledger
	loop     *ingest.Loop
	system   *fakeSystem
	broker   fakeBroker
	journal  fakeJournal
	storage  fakeStorage
	live     fakeLive
	changes  versioned
	admin    string // session token
	log      *lockedBuffer
}

func newBench(t *testing.T, change ...func(*Deps)) *bench {
	t.Helper()
	b := &bench{t: t, system: &fakeSystem{}, log: &lockedBuffer{}}
	st, err := sqlite.Open(t.Context(), t.TempDir(), store.Options{MaxMetrics: 5}, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { st.Close() })
	now := func() time.Time { return start }
	log := slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.ledger, err = ingest.NewLedger(t.Context(), st.Rows(), now, noMeter{})
	must(t, err)
	b.loop = ingest.New(ingest.Config{
		Store: st, Ledger: b.ledger, Meter: noMeter{}, Log: log, Now: now,
		Known: func(id trefoil.DeviceID) bool { return b.registry.Has(id) },
	})
	versions := history.NewVersions(st.Seq())
	b.loop.Observers = []ingest.Observer{versions}
	ended := make(chan struct{})
	go func() { defer close(ended); b.loop.Run() }()
	t.Cleanup(func() { b.loop.Stop(); <-ended })
	b.registry, err = registry.Open(t.Context(), registry.Options{Rows: st.Rows(), Writer: b.loop, Now: now, Log: log})
	must(t, err)
	b.accounts, err = auth.Open(t.Context(), auth.Options{Rows: st.Rows(), Writer: b.loop, Now: now, Log: log})
	must(t, err)
	_, _, err = b.accounts.EnsureAdmin(t.Context(), password)
	must(t, err)
	b.changes = versioned{versions, st}
	d := Deps{
		Devices: b.registry, Profiles: b.registry, Accounts: b.accounts, Keys: b.registry,
		Telemetry: b.loop, Payload: payload.NewDecoder(payload.Limits{}), Latest: st, Ledger: b.ledger,
		History: history.New(st), Changes: b.changes, System: b.system, Broker: &b.broker, Journal: &b.journal, Storage: &b.storage, Copier: st, MaxDisk: 0.8, Live: &b.live, MQTT: says("mqtt"), Metrics: says("metrics"), UI: pagesForTests(),
		Log: log, Now: now, MaxTelemetryBody: 1000,
	}
	for _, c := range change {
		c(&d)
	}
	h, err := New(d)
	must(t, err)
	b.server = httptest.NewServer(h)
	t.Cleanup(b.server.Close)
	s, err := b.accounts.Login(t.Context(), auth.Login{Name: auth.AdminName, Password: password})
	must(t, err)
	b.admin = s.Token
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func pagesForTests() fstest.MapFS {
	return fstest.MapFS{
		"index.html":         {Data: []byte("<!doctype html><title>Trefoil</title>")},
		"assets/app-1234.js": {Data: []byte("export {}")},
		"favicon.svg":        {Data: []byte("<svg/>")},
	}
}

// fakeLive is a hub that lets everybody in whom the gate lets in, and notes
// whom it was told to end.
type fakeLive struct {
	mu      sync.Mutex
	viewers []live.Identity
}

func (f *fakeLive) serve(g live.Gate) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := g.Admit(r)
		if err != nil {
			g.Refuse(w, r, err)
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.viewers = append(f.viewers, who)
		io.WriteString(w, "live")
	})
}

func (f *fakeLive) WebSocket(g live.Gate) http.Handler { return f.serve(g) }
func (f *fakeLive) Events(g live.Gate) http.Handler    { return f.serve(g) }

func (f *fakeLive) Kick(match func(live.Identity) bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.viewers)
	f.viewers = slices.DeleteFunc(f.viewers, match)
	return before - len(f.viewers)
}

func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

// fakeSystem is a process whose store fails when a test says so.
type fakeSystem struct {
	mu    sync.Mutex
	fault error
}

func (f *fakeSystem) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = err
}

func (f *fakeSystem) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fault
}

func (f *fakeSystem) Info(context.Context) (Info, error) {
	return Info{Version: "1.2.3", Store: StoreInfo{Engine: "sqlite"}}, nil
}

func (f *fakeSystem) Stats() Stats { return Stats{Connections: 7} }

type noMeter struct{}

func (noMeter) Committed(time.Duration, int, int) {}
func (noMeter) CommitFailed()                     {}
func (noMeter) Dropped(trefoil.DropReason, int64) {}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// answer is what came back, read to its end.
type answer struct {
	t      *testing.T
	name   string
	status int
	header http.Header
	body   string
}

// request sends method and path as the administrator, with a JSON body if
// there is one.
func (b *bench) request(line, body string) answer {
	b.t.Helper()
	return b.as("Bearer "+b.admin, line, body)
}

// as sends with an Authorization header, or without one if it is empty.
func (b *bench) as(authorization, line, body string, headers ...string) answer {
	b.t.Helper()
	method, path, _ := strings.Cut(line, " ")
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.server.URL+path, strings.NewReader(body))
	must(b.t, err)
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	must(b.t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	must(b.t, err)
	return answer{t: b.t, name: line, status: resp.StatusCode, header: resp.Header, body: string(got)}
}

// want checks the status and that the body holds every one of parts.
func (a answer) want(status int, parts ...string) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Errorf("%s: got status %d with %q, want %d", a.name, a.status, a.body, status)
	}
	for _, p := range parts {
		if !strings.Contains(a.body, p) {
			a.t.Errorf("%s: got %q, want %q in it", a.name, a.body, p)
		}
	}
	return a
}

// problem checks that the body is a problem document with this code.
func (a answer) problem(status int, code trefoil.Code, parts ...string) answer {
	a.t.Helper()
	a.want(status, parts...)
	var p problem
	if err := json.Unmarshal([]byte(a.body), &p); err != nil {
		a.t.Errorf("%s: got %q, want a problem document: %v", a.name, a.body, err)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("%s: got content type %q, want application/problem+json", a.name, got)
	}
	if p.Code != code || p.Status != status || p.Type != "about:blank" || p.Title == "" || p.Detail == "" {
		a.t.Errorf("%s: got %+v, want all of type, title and detail, status %d and code %q", a.name, p, status, code)
	}
	return a
}

// into decodes the body.
func (a answer) into(v any) answer {
	a.t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		a.t.Fatalf("%s: decode %q: %v", a.name, a.body, err)
	}
	return a
}

// device creates a device and gives its token.
func (b *bench) device(id string) (token string) {
	b.t.Helper()
	var made struct{ Token string }
	b.request("POST /api/v1/devices", `{"id":"`+id+`"}`).want(201).into(&made)
	return made.Token
}
