package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/trefoil-iot/trefoil"
)

// Watch selects what [Client.Live] delivers: either by Devices or by Tags, all
// when both are empty. No Metrics means all.
type Watch struct {
	Devices []string
	Tags    []string // key:value, all of them
	Metrics []string
	Since   uint64 // resume after this commit; 0: begin with the latest readings
}

// Frame is a message of the server, see the live protocol.
type Frame struct {
	Op      string  `json:"op"` // snapshot, readings, device or reset
	Seq     uint64  `json:"seq"`
	Rows    []Row   `json:"rows"`
	Skipped int64   `json:"skipped"` // readings replaced by later ones because we were slow
	Device  *Change `json:"device"`

	Code    trefoil.Code `json:"code"`
	Message string       `json:"message"`
}

// Row is what one device measured at one time, in Unix milliseconds.
type Row struct {
	Device string                     `json:"device"`
	T      float64                    `json:"t"`
	Values map[string]json.RawMessage `json:"values"`
}

// Change tells that a device went on or off line, or was removed.
type Change struct {
	ID      string  `json:"id"`
	Online  bool    `json:"online"`
	Reason  string  `json:"reason"`
	Since   float64 `json:"since"`
	Removed bool    `json:"removed"`
}

// maxFrame bounds one message of the live protocol.
const maxFrame = 64 << 20

// Live subscribes and hands every frame to handle until ctx ends or something
// fails. An error of handle ends it and is returned as it is. A connection
// that ends is an [Unreachable].
func (c *Client) Live(ctx context.Context, w Watch, handle func(Frame) error) error {
	conn, err := c.dialLive(ctx)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxFrame)
	request, err := json.Marshal(w.request())
	if err != nil {
		return fmt.Errorf("encode the subscription: %w", err)
	}
	if err := conn.Write(ctx, websocket.MessageText, request); err != nil {
		return &Unreachable{c.Server(), err}
	}
	for {
		_, b, err := conn.Read(ctx)
		switch {
		case ctx.Err() != nil:
			_ = conn.Close(websocket.StatusNormalClosure, "") // we leave either way
			return ctx.Err()
		case err != nil:
			return &Unreachable{c.Server(), err}
		}
		var f Frame
		if err := json.Unmarshal(b, &f); err != nil {
			return fmt.Errorf("%s does not speak the live protocol: %w", c.Server(), err)
		}
		if f.Op == "error" {
			return trefoil.Errorf(f.Code, "%s", f.Message)
		}
		if err := handle(f); err != nil {
			return err
		}
	}
}

func (w Watch) request() map[string]any {
	r := map[string]any{"op": "subscribe", "id": "tail"}
	if len(w.Devices) > 0 {
		r["devices"] = w.Devices
	}
	if len(w.Tags) > 0 {
		r["tags"] = w.Tags
	}
	if len(r) == 2 {
		r["devices"] = []string{"*"}
	}
	if len(w.Metrics) > 0 {
		r["metrics"] = w.Metrics
	}
	if w.Since > 0 {
		r["since"] = w.Since
	}
	return r
}

func (c *Client) dialLive(ctx context.Context) (*websocket.Conn, error) {
	header := http.Header{}
	if c.token != "" {
		header.Set("Authorization", "Bearer "+c.token)
	}
	dial, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	address := "ws" + strings.TrimPrefix(c.address("/api/v1/live", nil), "http")
	conn, resp, err := websocket.Dial(dial, address, &websocket.DialOptions{
		HTTPHeader: header, Subprotocols: []string{"trefoil.live.v1"},
	})
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case resp != nil && resp.StatusCode == http.StatusUnauthorized && c.token == "":
		return nil, c.notLoggedIn()
	case resp != nil && resp.StatusCode == http.StatusUnauthorized:
		return nil, trefoil.Errorf(trefoil.CodeUnauthorized, "token is wrong or was revoked")
	case resp != nil:
		return nil, trefoil.Errorf(codeOf(resp.StatusCode), "the live connection is refused: %s", resp.Status)
	default:
		return nil, &Unreachable{c.Server(), err}
	}
}
