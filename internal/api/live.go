package api

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/auth"
	"github.com/trefoil-iot/trefoil/internal/live"
)

// Live is the live stream, over WebSocket and as server-sent events.
type Live interface {
	WebSocket(g live.Gate) http.Handler
	Events(g live.Gate) http.Handler
	Kick(match func(live.Identity) bool) int
}

const (
	livePath   = "/api/v1/live"
	eventsPath = "/api/v1/live/events"
)

// gate lets users watch.
type gate struct{ *server }

// Admit says who watches. The credential is named by a hash of the token, so
// that the end of a session can end its viewers.
func (g gate) Admit(r *http.Request) (live.Identity, error) {
	c := callerOf(r.Context())
	if !c.May(auth.Viewer) {
		return live.Identity{}, trefoil.Errorf(trefoil.CodeUnauthorized, "log in to watch")
	}
	return live.Identity{User: c.Name, Credential: credentialOf(c.token), Cookie: c.cookie}, nil
}

// Refuse answers with a problem document.
func (g gate) Refuse(w http.ResponseWriter, r *http.Request, err error) { g.fail(w, r, err) }

func credentialOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
