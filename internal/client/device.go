package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Device is a device as the API shows it.
type Device struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Tags        map[string]string `json:"tags"`
	Profile     string            `json:"profile"`
	Online      bool              `json:"online"`
	Presence    Presence          `json:"presence"`
	Created     time.Time         `json:"created"`
	Explanation string            `json:"explanation,omitempty"` // why it is offline, or since when online; not in lists
	Token       string            `json:"token,omitempty"`       // only in the answer to its creation
}

// Presence says since when and why a device is on or off line.
type Presence struct {
	Online bool      `json:"online"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since,omitzero"`
}

// NewDevice is what a device is made of. All but ID may be empty; without an
// ID the server makes one.
type NewDevice struct {
	ID      string            `json:"id,omitempty"`
	Name    string            `json:"name,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
	Profile string            `json:"profile,omitempty"`
}

// Metric is a metric of a device with its latest reading. T is in Unix
// milliseconds, nil before the first reading.
type Metric struct {
	Metric   string          `json:"metric"`
	Label    string          `json:"label,omitempty"`
	Unit     string          `json:"unit,omitempty"`
	Decimals *int            `json:"decimals,omitempty"`
	T        *float64        `json:"t,omitempty"`
	V        json.RawMessage `json:"v,omitempty"`
}

// Query selects devices.
type Query struct {
	Text   string   // in id or name
	Tags   []string // key:value, all of them
	Online *bool
}

// CreateDevice makes a device. The answer is the only place where its token
// is shown.
func (c *Client) CreateDevice(ctx context.Context, n NewDevice) (Device, error) {
	var d Device
	err := c.call(ctx, http.MethodPost, "/api/v1/devices", nil, n, &d)
	return d, err
}

// Device gives one device.
func (c *Client) Device(ctx context.Context, id string) (Device, error) {
	var d Device
	err := c.call(ctx, http.MethodGet, devicePath(id, ""), nil, nil, &d)
	return d, err
}

// DeleteDevice removes a device with all its readings.
func (c *Client) DeleteDevice(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, devicePath(id, ""), nil, nil, nil)
}

// NewToken gives the device a new token; the old ones end.
func (c *Client) NewToken(ctx context.Context, id string) (string, error) {
	var out struct {
		Token string `json:"token"`
	}
	err := c.call(ctx, http.MethodPost, devicePath(id, "/token"), nil, nil, &out)
	return out.Token, err
}

// Metrics gives the metrics of a device, sorted, with the latest readings.
func (c *Client) Metrics(ctx context.Context, id string) ([]Metric, error) {
	var out struct {
		Items []Metric `json:"items"`
	}
	err := c.call(ctx, http.MethodGet, devicePath(id, "/metrics"), nil, nil, &out)
	return out.Items, err
}

// PutProfile makes or replaces the profile of that name; p is its document.
func (c *Client) PutProfile(ctx context.Context, name string, p any) error {
	return c.call(ctx, http.MethodPut, "/api/v1/profiles/"+url.PathEscape(name), nil, p, nil)
}

// Devices gives the devices that match, in ascending order of id, page by
// page as they are used. An error ends them.
func (c *Client) Devices(ctx context.Context, q Query) iter.Seq2[Device, error] {
	query := url.Values{"limit": {"500"}, "tag": q.Tags}
	if q.Text != "" {
		query.Set("q", q.Text)
	}
	if q.Online != nil {
		query.Set("online", strconv.FormatBool(*q.Online))
	}
	return func(yield func(Device, error) bool) {
		for {
			var page struct {
				Items []Device `json:"items"`
				Next  string   `json:"next"`
			}
			if err := c.call(ctx, http.MethodGet, "/api/v1/devices", query, nil, &page); err != nil {
				yield(Device{}, err)
				return
			}
			for _, d := range page.Items {
				if !yield(d, nil) {
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

func devicePath(id, below string) string { return "/api/v1/devices/" + url.PathEscape(id) + below }
