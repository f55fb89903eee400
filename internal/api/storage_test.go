package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/storage"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// fakeStorage reports what a test puts into it.
type fakeStorage struct{ report storage.Report }

func (f *fakeStorage) Report(context.Context) (storage.Report, error) { return f.report, nil }

func (f *fakeStorage) Rules() []RetentionRule {
	return []RetentionRule{{Raw: "forever", Hourly: "none"}, {Profile: "p", Metric: "m", Raw: "90d", Hourly: "5y"}}
}

func (f *fakeStorage) Backup() BackupInfo { return BackupInfo{Directory: "/b", Every: "24h", Keep: 7} }

func TestStorageTellsWhereTheDiskGoes(t *testing.T) {
	b := newBench(t)
	b.storage.report = storage.Report{
		Stats:   store.Stats{Engine: "sqlite", Bytes: 3000, Series: 4, Readings: 1000},
		Storage: store.Storage{Reusable: 1000, Oldest: trefoil.InstantOf(start), Tables: []store.Table{{Name: "chunk_202611", Bytes: 9, Readings: 8, From: 1, To: 2}, {Name: "log", Bytes: 5}}},
		Disk:    store.Disk{Total: 10_000, Free: 4000}, Growth: 500,
		Days:    []storage.Day{{Day: start, Bytes: 3000, Readings: 1000}},
		Dropped: []store.Dropped{{Number: 1, Time: 5, Reason: store.DropAge, What: store.DropAll, Readings: 7}},
	}
	b.request("GET /api/v1/storage", "").want(200,
		`"bytesPerReading":2,`, `"fullInDays":10,`, `"limit":0.8`, `"name":"log","bytes":5}`, `"day":"2026-03-01"`, `"reason":"age"`,
		`{"profile":"p","metric":"m","raw":"90d","hourly":"5y"}`, `"backup":{"directory":"/b"`)
}

func TestStorageLeavesOutWhatIsNotKnown(t *testing.T) {
	b := newBench(t)
	var got map[string]any
	b.request("GET /api/v1/storage", "").want(200, `"tables":[]`, `"days":[]`, `"dropped":[]`).into(&got)
	for _, name := range []string{"disk", "fullInDays", "oldest"} {
		if v, there := got[name]; there {
			t.Errorf("%s: got %v, want it left out", name, v)
		}
	}
}

func TestABackupIsAWholeDatabase(t *testing.T) {
	b := newBench(t)
	b.device("a")
	a := b.as("Bearer "+b.admin, "POST /api/v1/backup", "", "Accept-Encoding", "identity").want(200)
	if got := a.header.Get("Content-Type"); got != backupType {
		t.Errorf("content type: got %q", got)
	}
	path := filepath.Join(t.TempDir(), "b.db")
	must(t, os.WriteFile(path, []byte(a.body), 0o600))
	if got, err := sqlite.Inspect(t.Context(), path); err != nil || got.Devices != 1 {
		t.Errorf("inspect: got %+v, %v; want one device", got, err)
	}
}

// torn is a database that fails in the middle of its copy.
type torn struct{ begin bool }

func (c torn) Copy(_ context.Context, open func(int64) (io.Writer, error)) error {
	if c.begin {
		w, err := open(100)
		if err != nil {
			return err
		}
		if _, err := w.Write([]byte("half")); err != nil {
			return err
		}
	}
	return errors.New("disk error")
}

func TestABackupThatFailsIsNotTakenForWhole(t *testing.T) {
	b := newBench(t, func(d *Deps) { d.Copier = torn{} })
	b.request("POST /api/v1/backup", "").problem(500, trefoil.CodeInternal)
	b = newBench(t, func(d *Deps) { d.Copier = torn{begin: true} })
	req, err := http.NewRequest("POST", b.server.URL+"/api/v1/backup", nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+b.admin)
	req.Header.Set("Accept-Encoding", "identity")
	resp, err := b.server.Client().Do(req)
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("a backup that broke off: got a whole answer, want an error")
	}
	b = newBench(t, func(d *Deps) { d.Copier = nil })
	b.request("POST /api/v1/backup", "").problem(503, trefoil.CodeUnavailable, "pg_dump")
}

func TestAProfileSaysHowLongItsReadingsAreKept(t *testing.T) {
	b := newBench(t)
	b.request("PUT /api/v1/profiles/p", `{"retention":{"raw":"1y"},"metrics":{"m":{"retention":{"raw":"90d","hourly":"5y"}}}}`).
		want(200, `"retention":{"raw":"1y"}`, `"retention":{"raw":"90d","hourly":"5y"}`)
	b.request("POST /api/v1/devices", `{"id":"x","profile":"p"}`).want(201)
	day := 24 * time.Hour
	for metric, want := range map[string]store.Retention{
		"m": {Raw: 90 * day, Hourly: 5 * 365 * day}, "other": {Raw: 365 * day},
	} {
		if got := b.registry.Keep("x", metric, store.Retention{}); got != want {
			t.Errorf("%s: got %+v, want %+v", metric, got, want)
		}
	}
	if got := b.registry.Keep("unknown", "m", store.Retention{Raw: day}); got.Raw != day {
		t.Errorf("unknown device: got %+v, want the server's setting", got)
	}
	for body, want := range map[string]string{
		`{"retention":{"raw":"soon"}}`:                   "retention.raw",
		`{"metrics":{"m":{"retention":{"hourly":"3"}}}}`: "metrics.m.retention.hourly",
		`{"retention":{"raw":"90d","hourly":"30d"}}`:     "not longer than raw",
	} {
		b.request("PUT /api/v1/profiles/p", body).problem(422, trefoil.CodeInvalid, want)
	}
}
