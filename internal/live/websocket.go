package live

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/trefoil-iot/trefoil"
)

// Gate is what the handlers ask of the API.
type Gate interface {
	// Admit says who makes the request, or why it may not watch.
	Admit(r *http.Request) (Identity, error)
	// Refuse answers a request with a problem document.
	Refuse(w http.ResponseWriter, r *http.Request, err error)
}

// Limits and times of a connection.
const (
	maxRequest   = 1 << 20 // bytes of one frame from a viewer; 10,000 device ids fit
	pingEvery    = 25 * time.Second
	pongWithin   = 10 * time.Second
	writeWithin  = 10 * time.Second
	slowestWrite = 32 << 10 // bytes per second; a large frame has so much longer
	retryFirst   = 500 * time.Millisecond
	retryLast    = 3 * time.Second
)

// WebSocket serves the protocol of DESIGN.md over WebSocket. A connection
// ends with close code 1012 and the reason "retry=MS" when the server stops
// (MS differs from viewer to viewer, so that they do not come back all at
// once), with 1008 when its credential ends, and with 1009 after a frame that
// is too large.
func (h *Hub) WebSocket(g Gate) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := g.Admit(r)
		if err != nil {
			g.Refuse(w, r, err)
			return
		}
		v, err := h.Open(who)
		if err != nil {
			g.Refuse(w, r, err)
			return
		}
		defer v.Close()
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			Subprotocols:       []string{Protocol},
			InsecureSkipVerify: !who.Cookie, // a token in the request is no forgery of another site
		})
		if err != nil {
			h.log.Debug("live request was not accepted", "address", r.RemoteAddr, "error", err)
			return // Accept has answered
		}
		conn.SetReadLimit(maxRequest)
		serveSocket(r.Context(), v, conn)
	})
}

// serveSocket returns when the connection has ended and nothing of it runs.
func serveSocket(ctx context.Context, v *Viewer, conn *websocket.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Go(func() {
		defer cancel()
		listen(ctx, v, conn)
	})
	stopPings := keepAlive(ctx, v, conn)
	err := speak(ctx, v, conn)
	stopPings()
	sayGoodbye(conn, err)
	cancel()
	reader.Wait()
}

// speak sends frames until the viewer or the connection ends.
func speak(ctx context.Context, v *Viewer, conn *websocket.Conn) error {
	for {
		f, err := v.Next(ctx)
		if err != nil {
			return err
		}
		if err := write(ctx, conn, f.Data); err != nil {
			return err
		}
	}
}

func write(ctx context.Context, conn *websocket.Conn, data []byte) error {
	limit := writeWithin + time.Duration(len(data)/slowestWrite)*time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return conn.Write(ctx, websocket.MessageText, data)
}

// sayGoodbye closes the connection; err says why the viewer ended.
func sayGoodbye(conn *websocket.Conn, err error) {
	switch {
	case errors.Is(err, ErrClosing):
		retry := retryFirst + rand.N(retryLast-retryFirst)
		_ = conn.Close(websocket.StatusServiceRestart, fmt.Sprintf("retry=%d", retry.Milliseconds()))
	case errors.Is(err, ErrKicked), errors.Is(err, ErrExpired):
		_ = conn.Close(websocket.StatusPolicyViolation, err.Error())
	case trefoil.CodeOf(err) == trefoil.CodeUnavailable:
		_ = conn.Close(websocket.StatusTryAgainLater, "the store does not answer; retry=2000")
	default:
		_ = conn.CloseNow() // the other side went, or does not take anything any more
	}
}

// keepAlive pings the other side, and ends the connection when it does not
// answer. There is no goroutine between two pings: most viewers are idle.
func keepAlive(ctx context.Context, v *Viewer, conn *websocket.Conn) (stop func()) {
	var mu sync.Mutex // holds the first ping back until timer is set, and stop until a ping is over
	stopped := false
	ctx, cancel := context.WithCancel(ctx)
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(pingEvery, func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		v.Progress()
		within, done := context.WithTimeout(ctx, pongWithin)
		defer done()
		if conn.Ping(within) != nil {
			_ = conn.CloseNow()
			return
		}
		timer.Reset(pingEvery)
	})
	return func() {
		cancel()
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}
