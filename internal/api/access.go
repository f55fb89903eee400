package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/auth"
)

// Keys are the credentials of devices.
type Keys interface {
	Authenticate(ctx context.Context, id trefoil.DeviceID, token string) (trefoil.Device, error)
	Identify(ctx context.Context, token string) (trefoil.Device, error)
}

// access says who may use a route.
type access struct {
	role   auth.Role // of a user, or "" for everybody
	device bool      // also the device that the path names
}

// The kinds of access.
var (
	open             = access{}
	viewer           = access{role: auth.Viewer}
	operator         = access{role: auth.Operator}
	administrator    = access{role: auth.Administrator}
	viewerOrDevice   = access{role: auth.Viewer, device: true}
	operatorOrDevice = access{role: auth.Operator, device: true}
)

// sessionCookie is the name of the cookie that holds a session token.
const sessionCookie = "trefoil_session"

// caller is whoever makes a request, and how that became known.
type caller struct {
	auth.Principal
	token  string // of the session, for a user
	cookie bool   // the token came in the cookie
	err    error  // why the credentials that came are not good

	from   string // address of the client
	agent  string // what the client says it is
	secure bool   // came by TLS
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// identify finds out who makes the request. Wrong credentials are only an
// error where some are needed: a stale token must not keep anybody from
// logging in.
func (s *server) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.whoIs(r)
		c.from, c.agent, c.secure = r.RemoteAddr, r.UserAgent(), r.TLS != nil
		ctx := context.WithValue(r.Context(), callerKey{}, c)
		ctx = auth.WithPrincipal(ctx, c.Principal)
		// A foreign page can make a browser send its cookies, but not an
		// Authorization header.
		if r.Header.Get("Authorization") == "" {
			if err := s.origin.Check(r); err != nil {
				s.fail(w, r, trefoil.Errorf(trefoil.CodeForbidden, "request comes from a page of another origin"))
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

func (s *server) whoIs(r *http.Request) caller {
	header := r.Header.Get("Authorization")
	scheme, value, _ := strings.Cut(header, " ")
	switch {
	case strings.EqualFold(scheme, "Bearer"):
		return s.bearer(r.Context(), strings.TrimSpace(value))
	case strings.EqualFold(scheme, "Basic"):
		id, token, _ := r.BasicAuth()
		d, err := s.Keys.Authenticate(r.Context(), trefoil.DeviceID(id), token)
		return deviceCaller(d, err)
	case header != "":
		return caller{err: trefoil.Errorf(trefoil.CodeUnauthorized, "Authorization: allowed are Bearer, and Basic for devices")}
	}
	if c, err := r.Cookie(sessionCookie); err == nil && c.Value != "" {
		return s.user(r.Context(), c.Value, true)
	}
	// Browsers cannot set headers of a WebSocket.
	if token := r.URL.Query().Get("token"); token != "" && (r.URL.Path == livePath || r.URL.Path == eventsPath) {
		return s.bearer(r.Context(), token)
	}
	return caller{}
}

func (s *server) bearer(ctx context.Context, token string) caller {
	if strings.HasPrefix(token, auth.TokenPrefix) {
		return s.user(ctx, token, false)
	}
	d, err := s.Keys.Identify(ctx, token)
	if err != nil {
		return caller{err: trefoil.Errorf(trefoil.CodeUnauthorized, "token is wrong or was revoked")}
	}
	return deviceCaller(d, nil)
}

func (s *server) user(ctx context.Context, token string, cookie bool) caller {
	p, err := s.Accounts.Session(ctx, token)
	if err != nil {
		return caller{err: err}
	}
	return caller{Principal: p, token: token, cookie: cookie}
}

func deviceCaller(d trefoil.Device, err error) caller {
	if err != nil {
		return caller{err: err}
	}
	return caller{Principal: auth.Principal{Kind: auth.Device, Name: string(d.ID), Device: d.ID}}
}

// check reports why the caller may not have this access, or nil. id is the
// device in the path, if there is one.
func (c caller) check(a access, id trefoil.DeviceID) error {
	switch {
	case a.role == "" || c.May(a.role) || a.device && c.Is(id):
		return nil
	case c.err != nil:
		return c.err
	case c.Kind == "":
		return trefoil.Errorf(trefoil.CodeUnauthorized, "log in, or send a token as Authorization: Bearer")
	case c.Kind == auth.Device && a.device:
		return trefoil.Errorf(trefoil.CodeForbidden, "the token belongs to device %q and is good for that one only", c.Device)
	case c.Kind == auth.Device:
		return trefoil.Errorf(trefoil.CodeForbidden, "devices may not do this")
	default:
		return trefoil.Errorf(trefoil.CodeForbidden, "this needs the role %s; yours is %s", a.role, c.Role)
	}
}

// guarded lets only those with access through to h.
func (s *server) guarded(a access, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := callerOf(r.Context()).check(a, trefoil.DeviceID(r.PathValue("id"))); err != nil {
			s.fail(w, r, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// guard is guarded for routes of huma. It comes before the body is read.
func (s *server) guard(a access) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		if err := callerOf(ctx.Context()).check(a, trefoil.DeviceID(ctx.Param("id"))); err != nil {
			s.fail(w, r, err)
			return
		}
		// What curl says when it is not told otherwise; no route takes forms.
		if ctx.Header("Content-Type") == "application/x-www-form-urlencoded" {
			r.Header.Set("Content-Type", "application/json")
		}
		next(ctx)
	}
}

// ready refuses what would have to wait for a store that fails.
func (s *server) ready() error {
	err := s.System.Ready()
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*trefoil.Error](err); ok && e.Code == trefoil.CodeUnavailable {
		return err
	}
	return &trefoil.Error{Code: trefoil.CodeUnavailable, Message: "the store does not take anything now; try again", Cause: err}
}
