package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Broker is what the MQTT server does now.
type Broker struct {
	Connections    int    `json:"connections"`
	Sessions       int    `json:"sessions"`
	Subscriptions  int    `json:"subscriptions"`
	Retained       int    `json:"retained"`
	Queued         int    `json:"queued"`
	RefusedLogins  uint64 `json:"refusedLogins"`
	RefusedUnknown uint64 `json:"refusedUnknown"`
	Dropped        uint64 `json:"dropped"`

	Rates struct {
		MessagesIn  float64 `json:"messagesIn"`
		MessagesOut float64 `json:"messagesOut"`
		BytesIn     float64 `json:"bytesIn"`
		BytesOut    float64 `json:"bytesOut"`
	} `json:"rates"` // per second

	Totals struct {
		Connected   uint64 `json:"connected"`
		MessagesIn  uint64 `json:"messagesIn"`
		MessagesOut uint64 `json:"messagesOut"`
		BytesIn     uint64 `json:"bytesIn"`
		BytesOut    uint64 `json:"bytesOut"`
	} `json:"totals"`

	Limits struct {
		Connections int `json:"connections"`
	} `json:"limits"`
}

// Connection is one MQTT connection.
type Connection struct {
	Session       string    `json:"session"`
	User          string    `json:"user"`
	Device        string    `json:"device,omitempty"`
	ClientID      string    `json:"clientId"`
	Protocol      string    `json:"protocol"`
	Transport     string    `json:"transport"`
	Address       string    `json:"address"`
	KeepAlive     float64   `json:"keepAlive"` // seconds
	Connected     time.Time `json:"connected"`
	InFlightIn    int       `json:"inFlightIn"`
	InFlightOut   int       `json:"inFlightOut"`
	Queued        int       `json:"queued"`
	Subscriptions int       `json:"subscriptions"`
	MessagesIn    uint64    `json:"messagesIn"`
	MessagesOut   uint64    `json:"messagesOut"`
	BytesIn       uint64    `json:"bytesIn"`
	BytesOut      uint64    `json:"bytesOut"`
	Dropped       uint64    `json:"dropped"`
	LastError     string    `json:"lastError,omitempty"`
}

// Event is something that happened to the connection of a device. Count and
// First are about equal refusals in a row, which are one event.
type Event struct {
	Kind       string    `json:"kind"`
	Time       time.Time `json:"time"`
	Count      int64     `json:"count"`
	First      time.Time `json:"first,omitzero"`
	Address    string    `json:"address"`
	ClientID   string    `json:"clientId"`
	Protocol   string    `json:"protocol,omitempty"`
	Transport  string    `json:"transport,omitempty"`
	KeepAlive  float64   `json:"keepAlive,omitempty"`
	Reason     string    `json:"reason,omitempty"`
	Detail     string    `json:"detail,omitempty"`
	LastPacket time.Time `json:"lastPacket,omitzero"`
}

// Broker tells about the MQTT server.
func (c *Client) Broker(ctx context.Context) (Broker, error) {
	var b Broker
	err := c.call(ctx, http.MethodGet, "/api/v1/broker", nil, nil, &b)
	return b, err
}

// Connections gives the MQTT connections that have text in user, client id or
// address, page by page as they are used. An error ends them.
func (c *Client) Connections(ctx context.Context, text string) iter.Seq2[Connection, error] {
	query := url.Values{"limit": {"500"}}
	if text != "" {
		query.Set("q", text)
	}
	return func(yield func(Connection, error) bool) {
		for {
			var page struct {
				Items []Connection `json:"items"`
				Next  string       `json:"next"`
			}
			if err := c.call(ctx, http.MethodGet, "/api/v1/broker/clients", query, nil, &page); err != nil {
				yield(Connection{}, err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}

// Disconnect ends the connection of an MQTT session.
func (c *Client) Disconnect(ctx context.Context, session string) error {
	return c.call(ctx, http.MethodDelete, "/api/v1/broker/clients/"+url.PathEscape(session), nil, nil, nil)
}

// Events gives the last connection events of a device, the latest first, and
// the sentence that explains its state.
func (c *Client) Events(ctx context.Context, id string) (events []Event, explanation string, err error) {
	var out struct {
		Items       []Event `json:"items"`
		Explanation string  `json:"explanation"`
	}
	err = c.call(ctx, http.MethodGet, devicePath(id, "/events"), nil, nil, &out)
	return out.Items, out.Explanation, err
}
