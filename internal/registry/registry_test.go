package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// commits is the commit loop of the tests: one change, one commit.
type commits struct {
	store store.Store

	mu    sync.Mutex
	count int
	fail  error // instead of a commit
	twice bool  // runs every change again, as after a failed commit
}

func (c *commits) Do(ctx context.Context, fn func(context.Context, store.Writer) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	if c.twice {
		if err := c.run(ctx, fn, false); err != nil {
			return err
		}
	}
	return c.run(ctx, fn, true)
}

func (c *commits) run(ctx context.Context, fn func(context.Context, store.Writer) error, commit bool) error {
	tx, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	if err := tx.Savepoint(ctx, func(w store.Writer) error { return fn(ctx, w) }); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if !commit {
		return tx.Rollback()
	}
	c.count++
	_, err = tx.Commit(ctx)
	return err
}

// bench is a registry on a real database.
type bench struct {
	*Registry
	t       *testing.T
	dir     string
	commits *commits
	clock   time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{t: t, dir: t.TempDir(), clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.open()
	t.Cleanup(func() { b.commits.store.Close() })
	return b
}

func (b *bench) open() {
	b.t.Helper()
	st, err := sqlite.Open(b.t.Context(), b.dir, store.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.t.Fatalf("open store: %v", err)
	}
	b.commits = &commits{store: st, twice: true}
	b.load()
}

func (b *bench) load() {
	b.t.Helper()
	r, err := Open(b.t.Context(), Options{
		Rows: b.commits.store.Rows(), Writer: b.commits,
		Now: func() time.Time { return b.clock }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.t.Fatalf("open registry: %v", err)
	}
	b.Registry = r
}

// reopen is what a new process sees after the old one was killed.
func (b *bench) reopen() {
	b.t.Helper()
	if err := b.commits.store.Close(); err != nil {
		b.t.Fatalf("close store: %v", err)
	}
	b.open()
}

func (b *bench) create(n NewDevice) (trefoil.Device, string) {
	b.t.Helper()
	d, token, err := b.Create(b.t.Context(), n)
	if err != nil {
		b.t.Fatalf("create %q: %v", n.ID, err)
	}
	return d, token
}

func (b *bench) append(id trefoil.DeviceID, metric string, v float64) {
	b.t.Helper()
	tx, err := b.commits.store.Begin(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	err = tx.Append(&trefoil.Message{Device: id, Readings: []trefoil.Reading{
		{Metric: metric, Time: trefoil.InstantOf(b.clock), Value: trefoil.NumberValue(v)},
	}})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := tx.Commit(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func code(err error) trefoil.Code { return trefoil.CodeOf(err) }

func TestADeviceIsTheSameAfterReopening(t *testing.T) {
	b := newBench(t)
	if err := b.PutProfile(t.Context(), Profile{Name: "pump"}); err != nil {
		t.Fatal(err)
	}
	made, token := b.create(NewDevice{ID: "p1", Name: "Pümp 1", Tags: trefoil.Tags{"site": "roanoke"}, Profile: "pump"})
	b.reopen()
	got, err := b.Find("p1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, got); diff != "" {
		t.Errorf("device after reopening (-made +got):\n%s", diff)
	}
	if _, err := b.Authenticate(t.Context(), "p1", token); err != nil {
		t.Errorf("token after reopening: %v", err)
	}
}

func TestWhatWasNotCommittedIsNotKnown(t *testing.T) {
	b := newBench(t)
	_, token := b.create(NewDevice{ID: "a", Name: "before"})
	var events []EventKind
	b.OnChange(func(e Event) { events = append(events, e.Kind) })
	b.commits.fail = trefoil.Errorf(trefoil.CodeUnavailable, "disk full")

	name := "after"
	_, _, errCreate := b.Create(t.Context(), NewDevice{ID: "b"})
	_, errUpdate := b.Update(t.Context(), "a", DeviceChange{Name: &name})
	_, errToken := b.NewToken(t.Context(), "a")
	errDelete := b.Delete(t.Context(), "a")
	errProfile := b.PutProfile(t.Context(), Profile{Name: "pump"})
	for what, err := range map[string]error{"create": errCreate, "update": errUpdate, "token": errToken, "delete": errDelete, "profile": errProfile} {
		if got, want := code(err), trefoil.CodeUnavailable; got != want {
			t.Errorf("%s with a failing store: got code %q, want %q", what, got, want)
		}
	}
	if b.Has("b") || !b.Has("a") {
		t.Errorf("known devices: got b %v, a %v; want false, true", b.Has("b"), b.Has("a"))
	}
	if d, err := b.Authenticate(t.Context(), "a", token); err != nil || d.Name != "before" {
		t.Errorf("device: got %q, %v; want the name and token of before", d.Name, err)
	}
	if len(b.Profiles()) != 0 || len(events) != 0 {
		t.Errorf("got %d profiles and events %v, want none", len(b.Profiles()), events)
	}
}

func TestBadDevicesAreRefusedWithTheReason(t *testing.T) {
	b := newBench(t)
	b.create(NewDevice{ID: "taken"})
	for name, c := range map[string]struct {
		device NewDevice
		want   trefoil.Code
	}{
		"same id":          {NewDevice{ID: "taken"}, trefoil.CodeConflict},
		"slash in id":      {NewDevice{ID: "a/b"}, trefoil.CodeInvalid},
		"wildcard in id":   {NewDevice{ID: "+"}, trefoil.CodeInvalid},
		"dot first":        {NewDevice{ID: ".a"}, trefoil.CodeInvalid},
		"control in name":  {NewDevice{ID: "x", Name: "a\nb"}, trefoil.CodeInvalid},
		"long name":        {NewDevice{ID: "x", Name: string(make([]byte, 201))}, trefoil.CodeInvalid},
		"colon in tag":     {NewDevice{ID: "x", Tags: trefoil.Tags{"a:b": "c"}}, trefoil.CodeInvalid},
		"unknown profile":  {NewDevice{ID: "x", Profile: "nope"}, trefoil.CodeInvalid},
		"name not in UTF8": {NewDevice{ID: "x", Name: "\xff"}, trefoil.CodeInvalid},
	} {
		if _, _, err := b.Create(t.Context(), c.device); code(err) != c.want {
			t.Errorf("%s: got %v, want code %q", name, err, c.want)
		}
	}
	if total, _ := b.Count(); total != 1 {
		t.Errorf("devices: got %d, want 1", total)
	}
}

func TestANewDeviceWithoutAnIDGetsOne(t *testing.T) {
	b := newBench(t)
	one, _ := b.create(NewDevice{})
	two, _ := b.create(NewDevice{})
	if _, err := trefoil.ParseDeviceID(string(one.ID)); err != nil || one.ID == two.ID || one.Name != string(one.ID) {
		t.Errorf("got %q (%v) named %q and %q, want two valid ids and the id as name", one.ID, err, one.Name, two.ID)
	}
}

func TestDeletingADeviceRemovesItsSeriesAndTokens(t *testing.T) {
	b := newBench(t)
	_, token := b.create(NewDevice{ID: "a"})
	b.append("a", "temperature", 21)
	if err := b.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Identify(t.Context(), token); code(err) != trefoil.CodeUnauthorized {
		t.Errorf("token of a deleted device: got %v, want code unauthorized", err)
	}
	b.create(NewDevice{ID: "a"})
	for _, when := range []string{"at once", "after reopening"} {
		got, err := b.commits.store.Latest(t.Context(), "a")
		if err != nil || len(got) != 0 {
			t.Errorf("readings of a new device of the same id %s: got %v, %v; want none", when, got, err)
		}
		b.reopen()
	}
	if err := b.Delete(t.Context(), "nope"); code(err) != trefoil.CodeNotFound {
		t.Errorf("delete unknown: got %v, want code not_found", err)
	}
}

func TestADeviceThatIsBeingDeletedTakesNoMoreReadings(t *testing.T) {
	b := newBench(t)
	b.create(NewDevice{ID: "a"})
	seen := map[string]bool{}
	b.writer = writerFunc(func(ctx context.Context, fn func(context.Context, store.Writer) error) error {
		seen["during a deletion that fails"] = b.Has("a")
		return trefoil.Errorf(trefoil.CodeUnavailable, "disk full")
	})
	if err := b.Delete(t.Context(), "a"); code(err) != trefoil.CodeUnavailable {
		t.Fatalf("delete while the store fails: %v, want code unavailable", err)
	}
	seen["after it"] = b.Has("a")
	want := map[string]bool{"during a deletion that fails": false, "after it": true}
	if d := cmp.Diff(want, seen); d != "" {
		t.Errorf("Has (-want +got):\n%s", d)
	}
}

type writerFunc func(ctx context.Context, fn func(context.Context, store.Writer) error) error

func (f writerFunc) Do(ctx context.Context, fn func(context.Context, store.Writer) error) error {
	return f(ctx, fn)
}

func TestOnlyTheLatestTokenOfADeviceIsGood(t *testing.T) {
	b := newBench(t)
	_, old := b.create(NewDevice{ID: "a"})
	_, foreign := b.create(NewDevice{ID: "b"})
	var revoked []trefoil.DeviceID
	b.OnChange(func(e Event) {
		if e.Kind == TokenRevoked {
			revoked = append(revoked, e.Device.ID)
		}
	})
	latest, err := b.NewToken(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // in memory, and from the database
		for _, c := range []struct {
			name, id, token string
			want            trefoil.Code
		}{
			{"latest", "a", latest, ""},
			{"old", "a", old, trefoil.CodeUnauthorized},
			{"of another device", "a", foreign, trefoil.CodeUnauthorized},
			{"empty", "a", "", trefoil.CodeUnauthorized},
			{"unknown device", "zzz", latest, trefoil.CodeUnauthorized},
			{"no device", "", latest, trefoil.CodeUnauthorized},
		} {
			if _, err := b.Authenticate(t.Context(), trefoil.DeviceID(c.id), c.token); code(err) != c.want {
				t.Errorf("%s token: got %v, want code %q", c.name, err, c.want)
			}
		}
		if d, err := b.Identify(t.Context(), latest); err != nil || d.ID != "a" {
			t.Errorf("identify: got %q, %v; want a", d.ID, err)
		}
		if _, err := b.Identify(t.Context(), old); code(err) != trefoil.CodeUnauthorized {
			t.Errorf("identify by old token: got %v, want code unauthorized", err)
		}
		b.reopen()
	}
	if diff := cmp.Diff([]trefoil.DeviceID{"a"}, revoked); diff != "" {
		t.Errorf("events of revoked tokens (-want +got):\n%s", diff)
	}
}

func TestTheDatabaseDoesNotHoldTokens(t *testing.T) {
	b := newBench(t)
	_, token := b.create(NewDevice{ID: "a"})
	var n int
	err := b.commits.store.Rows().QueryRowContext(t.Context(),
		"select count(*) from device_token where length(hash) = 32 and label not like $1", "%"+token[4:]+"%").Scan(&n)
	if err != nil || n != 1 {
		t.Errorf("rows with a hash of 32 bytes: got %d, %v; want 1", n, err)
	}
}

func TestListsFilterAndPage(t *testing.T) {
	b := newBench(t)
	if err := b.PutProfile(t.Context(), Profile{Name: "pump"}); err != nil {
		t.Fatal(err)
	}
	for i := range 25 {
		site := []string{"roanoke", "salem"}[i%2]
		b.create(NewDevice{ID: trefoil.DeviceID(fmt.Sprintf("d%02d", 24-i)), Tags: trefoil.Tags{"site": site}})
	}
	b.create(NewDevice{ID: "x", Name: "Big Pump", Tags: trefoil.Tags{"site": "roanoke", "floor": "2"}, Profile: "pump"})

	var ids []trefoil.DeviceID
	for q := (Query{Limit: 10}); ; {
		p := b.List(q)
		if p.Total != 26 {
			t.Errorf("total: got %d, want 26", p.Total)
		}
		for _, d := range p.Devices {
			ids = append(ids, d.ID)
		}
		if q.After = p.Next; p.Next == "" {
			break
		}
	}
	if len(ids) != 26 || ids[0] != "d00" || ids[24] != "d24" || ids[25] != "x" {
		t.Errorf("all pages: got %v, want d00 to d24 and x", ids)
	}
	online := true
	for name, c := range map[string]struct {
		q    Query
		want int
	}{
		"text in name, any case": {Query{Text: "bIG pu"}, 1},
		"text in tag":            {Query{Text: "salem"}, 12},
		"tag":                    {Query{Tags: []string{"site:roanoke"}}, 14},
		"two tags":               {Query{Tags: []string{"site:roanoke", "floor:2"}}, 1},
		"key alone":              {Query{Tags: []string{"floor"}}, 1},
		"nothing":                {Query{Tags: []string{"site:nowhere"}}, 0},
		"online":                 {Query{Online: &online}, 0},
	} {
		if got := b.List(c.q).Total; got != c.want {
			t.Errorf("%s: got %d devices, want %d", name, got, c.want)
		}
	}
}

func TestAChangeKeepsWhatItDoesNotName(t *testing.T) {
	b := newBench(t)
	before, _ := b.create(NewDevice{ID: "a", Name: "A", Tags: trefoil.Tags{"site": "roanoke"}})
	tags := trefoil.Tags{"floor": "1"}
	got, err := b.Update(t.Context(), "a", DeviceChange{Tags: &tags})
	if err != nil {
		t.Fatal(err)
	}
	want := before
	want.Tags, want.Updated = tags, before.Updated+1
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("device after the change (-want +got):\n%s", diff)
	}
	b.reopen()
	stored, err := b.Find("a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, stored); diff != "" {
		t.Errorf("device after reopening (-before +after):\n%s", diff)
	}
}

func TestBadProfilesAreRefusedWithTheField(t *testing.T) {
	low, high, seven := 1.0, 2.0, 7
	for name, m := range map[string]Metric{
		"min above max":  {Min: &high, Max: &low},
		"min equals max": {Min: &low, Max: &low},
		"decimals":       {Decimals: &seven},
		"kind":           {Kind: "picture"},
		"cadence":        {Cadence: "often"},
		"cadence zero":   {Cadence: "0s"},
		"unit":           {Unit: string(make([]byte, 33))},
	} {
		err := Profile{Name: "p", Metrics: map[string]Metric{"temperature": m}}.Validate()
		if code(err) != trefoil.CodeInvalid {
			t.Errorf("%s: got %v, want code invalid", name, err)
		}
	}
	if err := (Profile{Name: "a/b"}).Validate(); code(err) != trefoil.CodeInvalid {
		t.Errorf("name: got %v, want code invalid", err)
	}
	two := 2
	good := Profile{Name: "p", Metrics: map[string]Metric{
		"temperature": {Label: "Temperature", Unit: "°C", Min: &low, Max: &high, Decimals: &two, Cadence: "10s", Kind: "number"},
	}}
	if err := good.Validate(); err != nil {
		t.Errorf("good profile: %v", err)
	}
}

func TestAProfileInUseIsNotDeleted(t *testing.T) {
	b := newBench(t)
	p := Profile{Name: "pump", Label: "Pump", Metrics: map[string]Metric{"flow": {Unit: "l/min"}}}
	if err := b.PutProfile(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	b.reopen()
	if got, err := b.Profile("pump"); err != nil || cmp.Diff(p, got) != "" {
		t.Errorf("profile after reopening: got %+v, %v; want %+v", got, err, p)
	}
	b.create(NewDevice{ID: "a", Profile: "pump"})
	if err := b.DeleteProfile(t.Context(), "pump"); code(err) != trefoil.CodeConflict {
		t.Errorf("delete in use: got %v, want code conflict", err)
	}
	none := ""
	if _, err := b.Update(t.Context(), "a", DeviceChange{Profile: &none}); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteProfile(t.Context(), "pump"); err != nil {
		t.Errorf("delete unused: %v", err)
	}
	if err := b.DeleteProfile(t.Context(), "pump"); code(err) != trefoil.CodeNotFound {
		t.Errorf("delete again: got %v, want code not_found", err)
	}
}
