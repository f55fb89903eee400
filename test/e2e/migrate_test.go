package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/trefoil-iot/trefoil/test/pgtest"
	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// onFile starts a server on SQLite, whatever the other tests use.
func onFile(t *testing.T, dir string) *rig {
	t.Helper()
	return start(t, trefoiltest.Options{Dir: dir, Args: []string{"--store", "sqlite"}})
}

// emptyDatabase gives the URL of a database in a cluster of its own.
func emptyDatabase(t *testing.T) (*pgtest.Cluster, string) {
	t.Helper()
	c, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close the database: %v", err)
		}
	})
	return c, c.URL("postgres")
}

// migrate runs trefoil migrate-store and gives what it printed.
func migrate(t *testing.T, from, to string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, "migrate-store", "--from", from, "--to", to)
	cmd.Env, cmd.Stdout, cmd.Stderr = trefoiltest.Environ(), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("migrate-store: %v\n%s", err, errs.String())
	}
	return out.String()
}

func TestAServerOnTheMovedStoreIsTheSame(t *testing.T) {
	dir := t.TempDir()
	r := onFile(t, dir)
	d := r.device("mover")
	c := r.connect(d, wire.V5)
	for i := range 50 {
		payload := fmt.Appendf(nil, `{"n":%d,"open":%v,"state":"s%d"}`, i, i%2 == 0, i)
		send(t, c, wire.AppendPublish(nil, wire.Publish{Version: wire.V5, QoS: 1, ID: uint16(i + 1), Topic: "devices/mover/telemetry", Payload: payload}))
		receive(t, c, puback)
	}
	before := map[string]trefoiltest.Series{}
	for _, metric := range []string{"n", "open", "state"} {
		before[metric] = r.history("mover", metric)
	}
	person := r.admin.Token
	_, url := emptyDatabase(t)
	wantWords(t, refuse(t, t.TempDir(), "migrate-store", "--from", dir, "--to", url), dir, "stop it")
	r.stop()

	wantWords(t, migrate(t, dir, url), "150", "no difference", "trefoil serve", "--store")

	after := start(t, trefoiltest.Options{Dir: dir, Args: []string{"--store", url}})
	for metric, want := range before {
		if diff := cmp.Diff(want, after.history("mover", metric)); diff != "" || len(want.T) != 50 {
			t.Errorf("history of %s, %d readings before (-before +after):\n%s", metric, len(want.T), diff)
		}
	}
	c = after.connect(d, wire.V5)
	send(t, c, wire.AppendPublish(nil, wire.Publish{Version: wire.V5, QoS: 1, ID: 1, Topic: "devices/mover/telemetry", Payload: []byte(`{"n":50}`)}))
	if ack := receive(t, c, puback); ack.Reason() >= 0x80 {
		t.Errorf("the device with its old token: got PUBACK with reason %#x", ack.Reason())
	}
	if err := after.admin.As(person).Call(t.Context(), "GET", "/api/v1/me", nil, nil); err != nil {
		t.Errorf("a person who was logged in: %v", err)
	}
	var drops struct{ Received, Stored, Dropped int }
	after.call("GET", "/api/v1/devices/mover/drops", nil, &drops)
	if drops.Received != 51 || drops.Stored != 51 || drops.Dropped != 0 {
		t.Errorf("ledger: got %+v, want 51 messages received and stored", drops)
	}
	wantWords(t, refuse(t, t.TempDir(), "migrate-store", "--from", dir, "--to", url), "another Trefoil uses this database")
	after.stop()
	wantWords(t, refuse(t, t.TempDir(), "migrate-store", "--from", dir, "--to", url), "not empty", "empty database")
}

// record sends n readings of each of several devices by HTTP.
func (r *rig) record(devices, n int) {
	r.t.Helper()
	base := time.Now().Add(-time.Duration(n) * time.Second).UnixMilli()
	for i := range devices {
		id := fmt.Sprintf("recorder-%d", i)
		client := r.admin.As(r.device(id).Token)
		const slice = 2000
		for from := 0; from < n; from += slice {
			rows := make([]map[string]any, slice)
			for k := range rows {
				rows[k] = map[string]any{"ts": base + int64(from+k)*1000, "n": from + k}
			}
			if err := client.Call(r.t.Context(), "POST", "/api/v1/devices/"+id+"/telemetry", rows, nil); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

func TestAMoveThatIsKilledGoesOnWhenItRunsAgain(t *testing.T) {
	dir := t.TempDir()
	r := onFile(t, dir)
	r.record(20, 20_000)
	r.stop()
	_, url := emptyDatabase(t)
	kills := 0
	for _, enough := range []int{1, 100_000, 200_000} {
		if killMove(t, dir, url, enough) {
			kills++
		}
	}
	if kills == 0 {
		t.Error("every move ended before it could be killed")
	}
	wantWords(t, refuse(t, t.TempDir(), "serve", "--data", t.TempDir(), "--store", url, "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"), "migrate-store again")
	out := migrate(t, dir, url)
	wantWords(t, out, "went on where it was", "400000 of 20 series", "no difference")
	after := start(t, trefoiltest.Options{Dir: dir, Args: []string{"--store", url}})
	for i := range 20 {
		if got := after.history(fmt.Sprintf("recorder-%d", i), "n"); len(got.T) != 20_000 || got.V[19_999] != 19_999.0 {
			t.Errorf("recorder-%d: got %d readings, want 20000", i, len(got.T))
		}
	}
}

// movedTo is the number of readings that an unfinished move has committed.
func movedTo(t *testing.T, url string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), "select readings from store_transfer").Scan(&n); err != nil {
		return 0 // there is no such table yet
	}
	return n
}

// killMove kills a move when so many readings are in the target, and reports
// whether it could.
func killMove(t *testing.T, dir, url string, enough int) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary, "migrate-store", "--from", dir, "--to", url)
	cmd.Env, cmd.Dir = trefoiltest.Environ(), t.TempDir()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	over := false
	await(t, "readings in the target", func() bool {
		select {
		case err := <-ended:
			t.Logf("the move ended by itself: %v", err)
			over = true
		default:
		}
		return over || movedTo(t, url) >= enough
	})
	if over {
		return false
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	return (<-ended).Error() == "signal: killed"
}

func TestAMoveThatCannotBeginSaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	r := onFile(t, dir)
	r.stop()
	c, url := emptyDatabase(t)
	empty := t.TempDir()
	wantWords(t, refuse(t, empty, "migrate-store", "--from", empty, "--to", url), "no database", empty)
	wantWords(t, refuse(t, empty, "migrate-store", "--from", dir), "--to", "TREFOIL_STORE")
	wantWords(t, refuse(t, empty, "migrate-store", "--from", dir, "--to", dir), "the same")
	wantWords(t, refuse(t, empty, "migrate-store", "--from", dir, "--to", "mysql://u:hunter2@db/t"), "--to", "postgres://")
	wantWords(t, refuse(t, empty, "migrate-store", "--from", dir, "--to", c.URL("missing")), "createdb")
	c.Exec(t, "postgres", `
		create table schema_version (part text not null, version bigint not null, name text not null, primary key (part, version));
		insert into schema_version select 'rows', n, 'later' from generate_series(1, 1000) n`)
	wantWords(t, refuse(t, empty, "migrate-store", "--from", dir, "--to", url), "1000", "newer Trefoil")
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	wantWords(t, refuse(t, empty, "migrate-store", "--from", dir, "--to", url), "check that it runs")
}
