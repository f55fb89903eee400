package api

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/auth"
)

func TestLoginGivesATokenAndACookieThatWork(t *testing.T) {
	b := newBench(t)
	var session struct {
		Token string
		User  struct{ Name, Role string }
	}
	a := b.as("", "POST /api/v1/login", `{"username":"admin","password":"`+password+`"}`).
		want(200, `"expires":"2026-03-31T12:00:00Z"`).into(&session)
	if session.User.Name != "admin" || session.User.Role != "administrator" {
		t.Errorf("user: got %+v, want the administrator", session.User)
	}
	cookie := a.header.Get("Set-Cookie")
	for _, part := range []string{"trefoil_session=tfs_", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("cookie: got %q, want %q in it", cookie, part)
		}
	}
	pair, _, _ := strings.Cut(cookie, ";")
	b.as("", "GET /api/v1/me", "", "Cookie", pair).want(200, `{"name":"admin","role":"administrator"}`)
	b.as("Bearer "+session.Token, "GET /api/v1/me", "").want(200)
	for _, path := range []string{livePath, eventsPath} {
		b.as("", "GET "+path, "", "Cookie", pair).want(200)
	}
	b.as("Bearer "+b.admin, "GET "+livePath, "").want(200)
	out := b.as("", "POST /api/v1/logout", "", "Cookie", pair).want(204)
	if n := len(b.live.viewers); n != 1 {
		t.Errorf("%d viewers after the logout, want only the one of the other session", n)
	}
	if got := out.header.Get("Set-Cookie"); !strings.Contains(got, "Max-Age=0") {
		t.Errorf("cookie after logout: got %q, want one that ends", got)
	}
	b.as("", "GET /api/v1/me", "", "Cookie", pair).problem(401, trefoil.CodeUnauthorized)
	b.as("Bearer "+session.Token, "GET /api/v1/me", "").problem(401, trefoil.CodeUnauthorized)
	b.as("", "POST /api/v1/logout", "").want(204)
}

func TestUsingACookieRenewsIt(t *testing.T) {
	b := newBench(t)
	a := b.as("", "GET /api/v1/me", "", "Cookie", "trefoil_session="+b.admin).want(200)
	if got := a.header.Get("Set-Cookie"); !strings.Contains(got, "trefoil_session="+b.admin) {
		t.Errorf("cookie: got %q, want the same session again", got)
	}
	if got := b.request("GET /api/v1/me", "").header.Get("Set-Cookie"); got != "" {
		t.Errorf("cookie for a token: got %q, want none", got)
	}
}

func TestWrongLoginsAreRefusedAndThenSlowedDown(t *testing.T) {
	b := newBench(t)
	wrong := `{"username":"admin","password":"wrong"}`
	for range 10 {
		b.as("", "POST /api/v1/login", wrong).problem(401, trefoil.CodeUnauthorized, "user name or password is wrong")
	}
	a := b.as("", "POST /api/v1/login", wrong).problem(429, trefoil.CodeTooMany, "too many failed logins")
	if got := a.header.Get("Retry-After"); got != "3" {
		t.Errorf("Retry-After: got %q, want 3", got)
	}
	if log := b.log.String(); !strings.Contains(log, "login refused") || strings.Contains(log, "wrong\"") {
		t.Errorf("log: got %q, want a line per refused login without the password", log)
	}
}

func TestMalformedLoginsDoNotEchoThePassword(t *testing.T) {
	b := newBench(t)
	for _, body := range []string{`{"username":"admin","password":"sesame`, `{"username":"","password":"sesame"}`, `{"user":"a","password":"sesame"}`} {
		if a := b.as("", "POST /api/v1/login", body); a.status < 400 || a.status >= 500 || strings.Contains(a.body, "sesame") {
			t.Errorf("%s: got %d %q, want a refusal without the password", body, a.status, a.body)
		}
	}
}

func TestALoginLinkWorksOnce(t *testing.T) {
	b := newBench(t)
	ticket, err := b.accounts.NewTicket(auth.AdminName, auth.SessionLife)
	must(t, err)
	follow := func(cookie string) answer {
		return b.as("", "GET /api/v1/login/link?ticket="+ticket, "", "Cookie", cookie).want(303)
	}
	first := follow("")
	pair, _, _ := strings.Cut(first.header.Get("Set-Cookie"), ";")
	b.as("", "GET /api/v1/me", "", "Cookie", pair).want(200)
	for _, c := range []struct{ what, got, want string }{
		{"first", first.header.Get("Location"), "/"},
		{"again in the same browser", follow(pair).header.Get("Location"), "/"},
		{"again elsewhere", follow("").header.Get("Location"), "/login?expired=1"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", c.what, c.got, c.want)
		}
	}
}

// everything is every route that needs somebody, and who else may use it.
var everything = []struct {
	line   string
	device bool // the device itself may
	body   string
}{
	{"GET /api/v1/me", false, ""},
	{"GET /api/v1/server", false, ""},
	{"GET /api/v1/stats", false, ""},
	{"GET /api/v1/storage", false, ""},
	{"POST /api/v1/backup", false, ""},
	{"GET /api/v1/broker", false, ""},
	{"GET /api/v1/broker/clients", false, ""},
	{"DELETE /api/v1/broker/clients/s1", false, ""},
	{"GET /api/v1/live", false, ""},
	{"GET /api/v1/devices", false, ""},
	{"POST /api/v1/devices", false, "{}"},
	{"GET /api/v1/devices/a", false, ""},
	{"PATCH /api/v1/devices/a", false, "{}"},
	{"GET /api/v1/devices/a/drops", false, ""},
	{"GET /api/v1/devices/a/events", false, ""},
	{"POST /api/v1/devices/a/telemetry", true, `{"t":1}`},
	{"GET /api/v1/devices/a/latest", true, ""},
	{"GET /api/v1/devices/a/metrics", true, ""},
	{"GET /api/v1/devices/a/history", true, ""},
	{"GET /api/v1/devices/a/history/gaps", true, ""},
	{"POST /api/v1/query", false, "{}"},
	{"POST /api/v1/import", false, `{"device":"a","values":{"t":1}}`},
	{"GET /api/v1/profiles", false, ""},
	{"PUT /api/v1/profiles/p", false, "{}"},
	{"GET /api/v1/profiles/p", false, ""},
	{"DELETE /api/v1/profiles/p", false, ""},
	{"POST /api/v1/devices/a/token", false, ""},
	{"DELETE /api/v1/devices/a", false, ""},
}

func TestEveryRouteNeedsSomebodyWhoMay(t *testing.T) {
	b := newBench(t)
	own, foreign := b.device("a"), b.device("b")
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("a:"+own))
	for _, e := range everything {
		b.as("", e.line, e.body).problem(401, trefoil.CodeUnauthorized)
		for _, bad := range []string{"Bearer x", "Bearer tfs_x", "Bearer tfd_x", "Bearer", "Basic eA==", "Digest x"} {
			if a := b.as(bad, e.line, e.body).problem(401, trefoil.CodeUnauthorized); a.header.Get("Www-Authenticate") == "" {
				t.Errorf("%s as %q: got no WWW-Authenticate", e.line, bad)
			}
		}
		b.as("Bearer "+foreign, e.line, e.body).problem(403, trefoil.CodeForbidden)
		for _, good := range []string{"Bearer " + own, basic} {
			if e.device {
				b.as(good, e.line, e.body).want(200)
			} else {
				b.as(good, e.line, e.body).problem(403, trefoil.CodeForbidden)
			}
		}
	}
	b.request("PUT /api/v1/profiles/p", "{}").want(200)
	for _, e := range everything {
		if a := b.request(e.line, e.body); a.status >= 300 {
			t.Errorf("%s as administrator: got %d %q, want success", e.line, a.status, a.body)
		}
	}
}

func TestEveryDocumentedRouteIsTried(t *testing.T) {
	doc, err := Document()
	must(t, err)
	var d struct {
		Paths map[string]map[string]struct {
			Security []map[string][]string
		}
	}
	must(t, json.Unmarshal(doc, &d))
	tried := make(map[string]bool)
	for _, e := range everything {
		tried[e.line] = true
	}
	fill := strings.NewReplacer("{id}", "a", "{name}", "p", "{session}", "s1")
	for path, methods := range d.Paths {
		for method, op := range methods {
			line := strings.ToUpper(method) + " " + fill.Replace(path)
			if len(op.Security) > 0 && !tried[line] {
				t.Errorf("%s needs somebody and is not in the list of routes to try", line)
			}
		}
	}
	if got := len(d.Paths); got < 12 {
		t.Errorf("documented paths: got %d, want all of them", got)
	}
}

func TestAForeignPageCannotUseTheCookie(t *testing.T) {
	b := newBench(t)
	cookie := "trefoil_session=" + b.admin
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
		b.as("", "POST /api/v1/devices", "{}", append(header, "Cookie", cookie)...).problem(403, trefoil.CodeForbidden, "another origin")
		b.as("", "POST /api/v1/login", "{}", header...).problem(403, trefoil.CodeForbidden)
		b.as("Bearer "+b.admin, "POST /api/v1/devices", "{}", header...).want(201)
	}
	b.as("", "POST /api/v1/devices", "{}", "Cookie", cookie, "Sec-Fetch-Site", "same-origin").want(201)
}

func TestTheLiveDoorTakesATokenInTheQuery(t *testing.T) {
	b := newBench(t)
	b.as("", "GET /api/v1/live?token="+b.admin, "").want(200, "live")
	b.as("", "GET /api/v1/live?token="+b.device("a"), "").problem(403, trefoil.CodeForbidden)
	b.as("", "GET /api/v1/me?token="+b.admin, "").problem(401, trefoil.CodeUnauthorized)
	if strings.Contains(b.log.String(), b.admin) {
		t.Error("the log holds a session token")
	}
}

func TestAViewerOnlyLooks(t *testing.T) {
	viewing := caller{Principal: auth.Principal{Kind: auth.User, Name: "v", Role: auth.Viewer}}
	for a, want := range map[access]trefoil.Code{
		open: "", viewer: "", viewerOrDevice: "", operator: trefoil.CodeForbidden, operatorOrDevice: trefoil.CodeForbidden,
	} {
		if got := trefoil.CodeOf(viewing.check(a, "a")); got != want {
			t.Errorf("access %+v of a viewer: got %q, want %q", a, got, want)
		}
	}
}

func TestAnswersTellBrowsersToBeStrict(t *testing.T) {
	b := newBench(t)
	for _, line := range []string{"GET /", "GET /api/v1/me", "GET /api/docs", "GET /api/nope"} {
		h := b.as("", line, "").header
		if !strings.Contains(h.Get("Content-Security-Policy"), "script-src 'self';") || strings.Contains(h.Get("Content-Security-Policy"), "unsafe") ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%s: got headers %v, want a strict policy", line, h)
		}
	}
	if got := b.request("GET /api/v1/me", "").header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("cache of an answer: got %q, want no-store", got)
	}
}

func TestTheLoginCookieIsSecureBehindTLS(t *testing.T) {
	if c := cookieOf("x", true); !c.Secure || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("got %v, want Secure and SameSite=Strict", c)
	}
}
