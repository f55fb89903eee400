package api

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil"
)

func TestPathsOfTheUIAreItsPage(t *testing.T) {
	b := newBench(t)
	for path, part := range map[string]string{
		"/": "<title>Trefoil", "/devices/pump-7": "<title>Trefoil", "/devices/a.b": "<title>Trefoil", "/login?expired=1": "<title>Trefoil",
		"/assets/app-1234.js": "export", "/favicon.svg": "<svg/>",
	} {
		b.as("", "GET "+path, "").want(200, part)
	}
	for path, want := range map[string]string{"/": "no-cache", "/assets/app-1234.js": "public, max-age=31536000, immutable", "/favicon.svg": "no-cache"} {
		if got := b.as("", "GET "+path, "").header.Get("Cache-Control"); got != want {
			t.Errorf("cache of %s: got %q, want %q", path, got, want)
		}
	}
	etag := b.as("", "GET /", "").header.Get("Etag")
	b.as("", "GET /", "", "If-None-Match", etag).want(304)
	b.as("", "GET /assets/app-gone.js", "").problem(404, trefoil.CodeNotFound)
	b.as("", "HEAD /", "").want(200)
}

func TestPathsAndMethodsThatDoNotExistAreProblems(t *testing.T) {
	b := newBench(t)
	b.request("GET /api/v1/nope", "").problem(404, trefoil.CodeNotFound, "/api/v1/nope")
	b.request("POST /api", "").problem(404, trefoil.CodeNotFound)
	a := b.request("PUT /api/v1/devices", "{}").problem(405, trefoil.CodeInvalid, "allowed are")
	if got, want := a.header.Get("Allow"), "GET, HEAD, POST"; got != want {
		t.Errorf("Allow: got %q, want %q", got, want)
	}
	b.as("", "DELETE /", "").problem(404, trefoil.CodeNotFound)
}

func TestEveryAnswerHasARequestID(t *testing.T) {
	b := newBench(t)
	if got := b.request("GET /api/v1/me", "").header.Get("X-Request-Id"); len(got) != 16 {
		t.Errorf("made id: got %q, want 16 characters", got)
	}
	if got := b.as("", "GET /healthz", "", "X-Request-Id", "proxy-42").header.Get("X-Request-Id"); got != "proxy-42" {
		t.Errorf("given id: got %q, want proxy-42", got)
	}
	if got := b.as("", "GET /healthz", "", "X-Request-Id", `"><script>`).header.Get("X-Request-Id"); len(got) != 16 {
		t.Errorf("bad id: got %q, want a made one", got)
	}
}

func TestAPanicIsAProblemAndALogLine(t *testing.T) {
	b := newBench(t, func(d *Deps) {
		d.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") })
	})
	a := b.as("", "GET /metrics", "", "X-Request-Id", "r1").problem(500, trefoil.CodeInternal, "r1")
	if strings.Contains(a.body, "broken") || !strings.Contains(b.log.String(), "broken") {
		t.Errorf("got %q, want the cause in the log only", a.body)
	}
	b.as("", "GET /healthz", "").want(200)
}

func TestTheDocumentationLoadsNothingFromElsewhere(t *testing.T) {
	b := newBench(t)
	b.as("", "GET /api/docs", "").want(200, "/api/docs/docs.js", "/api/docs/docs.css")
	for _, path := range []string{"/api/docs", "/api/docs/docs.js", "/api/docs/docs.css"} {
		if body := b.as("", "GET "+path, "").want(200).body; strings.Contains(body, "://") {
			t.Errorf("%s has an address of another host", path)
		}
	}
	b.as("", "GET /api/openapi.json", "").want(200, `"openapi": "3.1.0"`, `"/api/v1/devices/{id}/telemetry"`)
}

func TestLongAnswersAreCompressedForThoseWhoAsk(t *testing.T) {
	b := newBench(t)
	req, err := http.NewRequestWithContext(t.Context(), "GET", b.server.URL+"/api/openapi.json", nil)
	must(t, err)
	req.Header.Set("Accept-Encoding", "gzip") // set by hand, so that it is not undone
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	must(t, err)
	if resp.Header.Get("Content-Encoding") != "gzip" || n > 20_000 {
		t.Errorf("got encoding %q and %d bytes, want gzip", resp.Header.Get("Content-Encoding"), n)
	}
	if got := b.request("GET /api/v1/me", "").header.Get("Content-Encoding"); got != "" {
		t.Errorf("a short answer: got encoding %q, want none", got)
	}
}

func TestOtherHandlersHaveTheirDoors(t *testing.T) {
	b := newBench(t)
	b.as("", "GET /mqtt", "").want(200, "mqtt")
	b.as("", "GET /metrics", "").want(200, "metrics")
	b.request("GET /api/v1/live", "").want(200, "live")
	b.request("GET /api/v1/stats", "").want(200, `"connections":7`)
	b.request("GET /api/v1/server", "").want(200, `"version":"1.2.3"`, `"ready":true`)
}
