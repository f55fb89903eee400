package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/test/pgtest"
	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// onPostgres starts a server on a database of its own, in a cluster of its
// own that the test may stop.
func onPostgres(t *testing.T) (*rig, *pgtest.Cluster) {
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
	return start(t, trefoiltest.Options{Args: []string{"--store", c.URL("postgres")}}), c
}

// again starts a server on the same database.
func (r *rig) again(c *pgtest.Cluster) *rig {
	r.t.Helper()
	return start(r.t, trefoiltest.Options{Dir: r.dir, Args: []string{"--store", c.URL("postgres")}})
}

func TestWhatWasAckedOnPostgreSQLSurvivesKill9(t *testing.T) {
	r, c := onPostgres(t)
	var info struct{ Store struct{ Engine string } }
	r.call("GET", "/api/v1/server", nil, &info)
	if info.Store.Engine != "postgres" {
		t.Errorf("engine: got %q, want postgres", info.Store.Engine)
	}
	acked := r.underLoad(func() {
		if err := r.Kill(); err != nil {
			t.Fatal(err)
		}
	})
	after := r.again(c)
	after.wantStored(acked)
	var drops struct{ Received, Stored, Dropped int }
	for id := range acked {
		after.call("GET", "/api/v1/devices/"+id+"/drops", nil, &drops)
		if drops.Received != drops.Stored+drops.Dropped {
			t.Errorf("ledger of %s: got %+v, want received = stored + dropped", id, drops)
		}
	}
}

func TestWhatWasAckedSurvivesACrashOfPostgreSQL(t *testing.T) {
	r, c := onPostgres(t)
	acked := r.underLoad(func() {
		if err := c.Crash(); err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		await(t, "/readyz to be 200", func() bool { return r.admin.Call(t.Context(), "GET", "/readyz", nil, nil) == nil })
		r.stop()
	})
	r.again(c).wantStored(acked)
}

func TestADatabaseThatIsAwayAcksNothingAndComesBackWithoutARestart(t *testing.T) {
	r, c := onPostgres(t)
	conn := r.connect(r.device("patient"), wire.V5)
	publish := func(n uint16) {
		send(t, conn, wire.AppendPublish(nil, wire.Publish{
			Version: wire.V5, QoS: 1, ID: n, Topic: "devices/patient/telemetry", Payload: fmt.Appendf(nil, `{"n":%d}`, n),
		}))
	}
	publish(1)
	receive(t, conn, puback)

	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	publish(2)
	var refused *trefoiltest.StatusError
	await(t, "/readyz to be 503", func() bool {
		err := r.admin.Call(t.Context(), "GET", "/readyz", nil, nil)
		return errors.As(err, &refused) && refused.Status == 503
	})
	if err := r.admin.Call(t.Context(), "GET", "/healthz", nil, nil); err != nil {
		t.Errorf("/healthz while the database is away: %v", err)
	}

	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if ack := receive(t, conn, puback); ack.ID() != 2 || ack.Reason() >= 0x80 {
		t.Errorf("got PUBACK %d with reason %#x after the database came back, want 2 without an error", ack.ID(), ack.Reason())
	}
	await(t, "/readyz to be 200", func() bool { return r.admin.Call(t.Context(), "GET", "/readyz", nil, nil) == nil })
	if got := r.stored("patient"); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("stored: got %v, want 1 and 2", got)
	}
}

func TestAServerWithoutItsDatabaseSaysWhatToDo(t *testing.T) {
	c, err := pgtest.New()
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(c.URL("postgres"), "postgres@", "postgres:hunter2@", 1)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = trefoiltest.Start(t.Context(), trefoiltest.Options{Binary: binary, Dir: t.TempDir(), Env: []string{"TREFOIL_STORE=" + url}})
	if err == nil || !strings.Contains(err.Error(), "check that it runs") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want the next step and no password", err)
	}
}
