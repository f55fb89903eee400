package api

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/ingest"
)

func TestPostedReadingsAreStoredAndCounted(t *testing.T) {
	b := newBench(t)
	token := b.device("a")
	b.as("Bearer "+token, "POST /api/v1/devices/a/telemetry", `{"temperature":21.5,"door":"open","on":true}`).
		want(200, `"accepted":3`, `"seq":`)
	b.as("Bearer "+token, "POST /api/v1/devices/a/telemetry", `[{"ts":"2026-03-01T11:00:00Z","temperature":20},{"ts":"2026-03-01T11:30:00.5Z","temperature":20.5}]`).
		want(200, `"accepted":2`)
	b.as("Bearer "+token, "GET /api/v1/devices/a/latest", "").
		want(200, `"door":{"t":1772366400000,"v":"open"}`, `"on":{"t":1772366400000,"v":true}`, `"temperature":{"t":1772366400000,"v":21.5}`)
	b.request("GET /api/v1/devices?latest=true", "").want(200, `"latest":{"door":{"t":1772366400000,"v":"open"}`)
	b.request("GET /api/v1/devices/a/drops", "").want(200, `"received":2`, `"stored":2`, `"dropped":0`, `"items":[]`)
}

func TestADeviceWithoutReadingsHasEmptyAnswers(t *testing.T) {
	b := newBench(t)
	b.device("a")
	b.request("GET /api/v1/devices/a/latest", "").want(200, "{}")
	b.request("GET /api/v1/devices/a/metrics", "").want(200, `{"items":[]}`)
	b.request("GET /api/v1/devices/a/drops", "").want(200, `"received":0`)
	for _, what := range []string{"latest", "metrics", "drops"} {
		b.request("GET /api/v1/devices/nope/"+what, "").problem(404, trefoil.CodeNotFound)
	}
}

func TestMetricsJoinTheProfileAndWhatWasStored(t *testing.T) {
	b := newBench(t)
	b.request("PUT /api/v1/profiles/room", `{"metrics":{"temperature":{"label":"Temperature","unit":"°C"},"humidity":{"unit":"%"}}}`).want(200)
	b.request("POST /api/v1/devices", `{"id":"a","profile":"room"}`).want(201)
	b.request("POST /api/v1/devices/a/telemetry", `{"temperature":21.5,"door":"open"}`).want(200)
	b.request("GET /api/v1/devices/a/metrics", "").want(200,
		`{"metric":"door","kind":"text","t":1772366400000,"v":"open"}`,
		`{"metric":"humidity","unit":"%","kind":"number"}`,
		`{"metric":"temperature","label":"Temperature","unit":"°C","kind":"number","t":1772366400000,"v":21.5}`)
}

func TestBadPayloadsAreRefusedAndEnteredInTheLedger(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		status int
		code   trefoil.Code
		part   string
		reason trefoil.DropReason
	}{
		"not JSON":        {`temperature=21`, 422, trefoil.CodeInvalid, "not JSON", trefoil.DropMalformed},
		"cut":             {`{"temperature":`, 422, trefoil.CodeInvalid, "not JSON", trefoil.DropMalformed},
		"empty":           {``, 422, trefoil.CodeInvalid, "empty", trefoil.DropMalformed},
		"no readings":     {`{}`, 422, trefoil.CodeInvalid, "no readings", trefoil.DropMalformed},
		"one bad of two":  {`{"good":1,"bad":null,"b+d":2}`, 422, trefoil.CodeInvalid, "", trefoil.DropMalformed},
		"too large":       {`{"a":"` + strings.Repeat("x", 1000) + `"}`, 413, trefoil.CodeTooLarge, "1000 bytes", trefoil.DropTooLarge},
		"too many metric": {`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1}`, 422, trefoil.CodeTooMany, "5", trefoil.DropTooMany},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			token := b.device("a")
			b.as("Bearer "+token, "POST /api/v1/devices/a/telemetry", c.body).problem(c.status, c.code, c.part)
			b.as("Bearer "+token, "GET /api/v1/devices/a/latest", "").want(200, "{}")
			b.request("GET /api/v1/devices/a/drops", "").want(200, `"reason":"`+string(c.reason)+`"`, `"count":1`, `"received":1`, `"stored":0`, `"dropped":1`)
		})
	}
}

func TestTheLedgerShowsTheBeginningOfABadPayload(t *testing.T) {
	b := newBench(t)
	b.device("a")
	b.request("POST /api/v1/devices/a/telemetry", `temperature=ä`).want(422)
	b.request("GET /api/v1/devices/a/drops", "").want(200, `"sample":"temperature=ä"`, `"topic":"/api/v1/devices/a/telemetry"`, `"time":"2026-03-01T12:00:00Z"`)
	b.as("Bearer "+b.admin, "POST /api/v1/devices/a/telemetry", "\x01\xff", "Content-Type", "application/cbor").want(422)
	b.request("GET /api/v1/devices/a/drops", "").want(200, `"sample":"01 ff"`, `"count":2`)
	b.request("POST /api/v1/devices/a/telemetry", strings.Repeat("ä", 128)+"x").want(422)
	b.request("POST /api/v1/devices/a/telemetry", "x"+strings.Repeat("ä", 128)).want(422)
	b.request("GET /api/v1/devices/a/drops", "").want(200, `"sample":"x`+strings.Repeat("ä", 127)+`"`)
}

func TestAnUnknownContentTypeIsRefused(t *testing.T) {
	b := newBench(t)
	b.device("a")
	b.as("Bearer "+b.admin, "POST /api/v1/devices/a/telemetry", `<a/>`, "Content-Type", "application/xml").
		problem(422, trefoil.CodeInvalid, "application/xml", "application/json")
}

// refusing takes nothing.
type refusing struct {
	err error
}

func (refusing) NewMessage() *trefoil.Message { return new(trefoil.Message) }

func (r refusing) Put(context.Context, *trefoil.Message) (trefoil.Seq, error) { return 0, r.err }

func (r refusing) Accept(_ context.Context, w ingest.Write) { w.Done(0, r.err) }

func TestAFullQueueOrAFailingStoreSaysWhenToTryAgain(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   trefoil.Code
		retry  string
	}{
		{ingest.ErrFull, 429, trefoil.CodeTooMany, "1"},
		{trefoil.Errorf(trefoil.CodeUnavailable, "disk full"), 503, trefoil.CodeUnavailable, "5"},
		{context.DeadlineExceeded, 503, trefoil.CodeUnavailable, "5"},
	} {
		b := newBench(t, func(d *Deps) { d.Telemetry = refusing{c.err} })
		b.device("a")
		a := b.request("POST /api/v1/devices/a/telemetry", `{"a":1}`).problem(c.status, c.code)
		if got := a.header.Get("Retry-After"); got != c.retry {
			t.Errorf("%v: got Retry-After %q, want %q", c.err, got, c.retry)
		}
		if c.status == 429 {
			b.request("GET /api/v1/devices/a/drops", "").want(200, `"reason":"queue_full"`, `"dropped":1`)
		}
	}
}

func TestAFailingStoreRefusesEveryWriteAtOnce(t *testing.T) {
	b := newBench(t)
	b.device("a")
	b.system.fail(errors.New("commit: no space left on device"))
	for _, line := range []string{
		"POST /api/v1/devices", "PATCH /api/v1/devices/a", "DELETE /api/v1/devices/a", "POST /api/v1/devices/a/token",
		"POST /api/v1/devices/a/telemetry", "PUT /api/v1/profiles/p", "DELETE /api/v1/profiles/p",
	} {
		body := ""
		if !strings.HasPrefix(line, "DELETE") && !strings.HasSuffix(line, "/token") {
			body = "{}"
		}
		a := b.request(line, body).problem(503, trefoil.CodeUnavailable)
		if a.header.Get("Retry-After") == "" {
			t.Errorf("%s: got no Retry-After", line)
		}
	}
	b.as("", "POST /api/v1/login", `{"username":"admin","password":"`+password+`"}`).problem(503, trefoil.CodeUnavailable)
	b.request("GET /api/v1/devices/a", "").want(200)
	b.as("", "GET /readyz", "").want(503, `{"ready":false,"reason":"commit: no space left on device"}`)
	b.request("GET /api/v1/server", "").want(200, `"ready":false`, `"reason":"commit: no space left on device"`)
	b.as("", "GET /healthz", "").want(200, "ok")
	b.system.fail(nil)
	b.as("", "GET /readyz", "").want(200, `{"ready":true}`)
	b.request("DELETE /api/v1/devices/a", "").want(204)
}

var _ Telemetry = (*ingest.Loop)(nil)
