// Package liveclient is the other end of the live protocol: for the command
// line, for tests, and for programs that watch a Trefoil server.
package liveclient

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"

	"github.com/trefoil-iot/trefoil"
)

// Config says where the server is and who watches.
type Config struct {
	URL        string       // of the server: http://localhost:8080
	Token      string       // API token or token of a login
	HTTPClient *http.Client // default: http.DefaultClient
}

// Subscription asks for readings, see live.Request.
type Subscription struct {
	ID      string       `json:"id"`
	Devices []string     `json:"devices,omitempty"`
	Tags    []string     `json:"tags,omitempty"`
	Metrics []string     `json:"metrics,omitempty"`
	Since   *trefoil.Seq `json:"since,omitempty"`
	MaxRate float64      `json:"maxRate,omitempty"`
}

// Frame is what the server sends; Op says which of the fields count. Times
// are Unix milliseconds.
type Frame struct {
	Op       string // hello, snapshot, readings, device, reset, unsubscribed, pong, error
	ID       string
	Seq      trefoil.Seq
	At       float64 // when it was sent
	Received float64 // when the oldest message in it arrived at the server
	Stored   float64 // when that message was durable
	Rows     []Row
	Devices  []Device // of a snapshot
	Device   Device   // of a frame "device"
	Skipped  int      // readings that were left out because this end was slow
	Code     trefoil.Code
	Message  string
}

// Row is the readings of one device at one time.
type Row struct {
	Device trefoil.DeviceID
	T      float64
	Values map[string]any // float64, bool or string
}

// Device is a device's presence, or the news that it was removed.
type Device struct {
	ID      trefoil.DeviceID
	Online  bool
	Reason  string
	Since   float64 // 0: never connected
	Removed bool
}

// UnmarshalJSON reads a frame. "devices" are objects in a snapshot, and in an
// error the ids that it is about; of these only ID is set.
func (f *Frame) UnmarshalJSON(b []byte) error {
	type plain Frame
	var raw struct {
		*plain
		Devices json.RawMessage
	}
	raw.plain = (*plain)(f)
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	switch {
	case raw.Devices == nil:
		return nil
	case f.Op != "error":
		return json.Unmarshal(raw.Devices, &f.Devices)
	}
	var ids []trefoil.DeviceID
	if err := json.Unmarshal(raw.Devices, &ids); err != nil {
		return err
	}
	for _, id := range ids {
		f.Devices = append(f.Devices, Device{ID: id})
	}
	return nil
}

// Conn is one connection. One goroutine may call Next while others send.
type Conn struct {
	ws *websocket.Conn
}

// Dial connects. An error with code unauthorized or forbidden means that
// trying again is of no use.
func Dial(ctx context.Context, c Config) (*Conn, error) {
	address, err := liveURL(c.URL)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	if c.Token != "" {
		header.Set("Authorization", "Bearer "+c.Token)
	}
	ws, answer, err := websocket.Dial(ctx, address, &websocket.DialOptions{
		HTTPClient: c.HTTPClient, HTTPHeader: header, Subprotocols: []string{"trefoil.live.v1"},
	})
	if err != nil {
		return nil, refusal(answer, err)
	}
	ws.SetReadLimit(-1) // a snapshot of a fleet is large, and the server is ours
	return &Conn{ws: ws}, nil
}

func liveURL(server string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", trefoil.Errorf(trefoil.CodeInvalid, "server address %q: an address such as http://localhost:8080 is expected", server)
	}
	u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	return u.JoinPath("/api/v1/live").String(), nil
}

func refusal(answer *http.Response, err error) error {
	if answer == nil {
		return trefoil.Errorf(trefoil.CodeUnavailable, "connecting for live readings: %w", err)
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized:
		return trefoil.Errorf(trefoil.CodeUnauthorized, "the server does not accept the token; log in again")
	case http.StatusForbidden:
		return trefoil.Errorf(trefoil.CodeForbidden, "the token may not watch live readings")
	case http.StatusNotFound:
		return trefoil.Errorf(trefoil.CodeInvalid, "the address is not that of a Trefoil server: it has no /api/v1/live")
	default:
		return trefoil.Errorf(trefoil.CodeUnavailable, "connecting for live readings: %w", err)
	}
}

// Subscribe sends s. The answer comes as a frame.
func (c *Conn) Subscribe(ctx context.Context, s Subscription) error {
	return c.Send(ctx, struct {
		Op string `json:"op"`
		Subscription
	}{"subscribe", s})
}

// Unsubscribe ends a subscription; a frame "unsubscribed" confirms it.
func (c *Conn) Unsubscribe(ctx context.Context, id string) error {
	return c.Send(ctx, map[string]string{"op": "unsubscribe", "id": id})
}

// Send sends any value as JSON.
func (c *Conn) Send(ctx context.Context, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return trefoil.Errorf(trefoil.CodeInvalid, "encoding a live request: %w", err)
	}
	return c.ws.Write(ctx, websocket.MessageText, b)
}

// Next waits for the next frame. An error is the end of the connection; see
// [RetryAfter].
func (c *Conn) Next(ctx context.Context) (Frame, error) {
	var f Frame
	_, b, err := c.ws.Read(ctx)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, trefoil.Errorf(trefoil.CodeInternal, "a live frame that is not understood: %w", err)
	}
	return f, nil
}

// Close says goodbye.
func (c *Conn) Close() error {
	err := c.ws.Close(websocket.StatusNormalClosure, "")
	var closed websocket.CloseError
	if errors.As(err, &closed) {
		return nil
	}
	return err
}
