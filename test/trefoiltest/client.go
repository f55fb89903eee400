package trefoiltest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// Client calls the HTTP API with one token.
type Client struct {
	Base  string // "http://127.0.0.1:1234"
	Token string
}

// Device is a device that [Client.CreateDevice] made.
type Device struct{ ID, Token string }

// StatusError is an answer of the API that is not 2xx.
type StatusError struct {
	Status int
	Code   string // of the problem document
	Body   string
}

func (e *StatusError) Error() string { return fmt.Sprintf("status %d: %s", e.Status, e.Body) }

// Admin logs in as the administrator.
func (s *Server) Admin(ctx context.Context) (*Client, error) {
	c := &Client{Base: "http://" + s.HTTP}
	var login struct{ Token string }
	in := map[string]string{"username": "admin", "password": AdminPassword}
	if err := c.Call(ctx, "POST", "/api/v1/login", in, &login); err != nil {
		return nil, fmt.Errorf("log in: %w", err)
	}
	c.Token = login.Token
	return c, nil
}

// As is the client of somebody else.
func (c *Client) As(token string) *Client { return &Client{Base: c.Base, Token: token} }

// CreateDevice creates a device with the id.
func (c *Client) CreateDevice(ctx context.Context, id string) (Device, error) {
	d := Device{ID: id}
	err := c.Call(ctx, "POST", "/api/v1/devices", map[string]any{"id": id}, &d)
	return d, err
}

// Call sends in as JSON, if it is not nil, and decodes the answer into out,
// if that is not nil. An answer that is not 2xx is a *[StatusError].
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	answer, err := c.send(ctx, method, path, body)
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(answer, out)
}

// Text gets path and returns the body as it is.
func (c *Client) Text(ctx context.Context, path string) (string, error) {
	b, err := c.send(ctx, "GET", path, nil)
	return string(b), err
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return answer, nil
	}
	var problem struct{ Code string }
	_ = json.Unmarshal(answer, &problem) // an answer that is no problem document has no code
	return nil, &StatusError{Status: resp.StatusCode, Code: problem.Code, Body: string(answer)}
}

// Series is the raw history of one metric.
type Series struct {
	Metric string
	Unit   string
	T      []float64 // Unix ms
	V      []any     // float64, bool or string
}

// History gives all readings of the metric of the last day, none for a metric
// that does not exist.
func (c *Client) History(ctx context.Context, device, metric string) (Series, error) {
	var h struct{ Series []Series }
	if err := c.Call(ctx, "GET", "/api/v1/devices/"+device+"/history?from=-1d", nil, &h); err != nil {
		return Series{}, err
	}
	for _, s := range h.Series {
		if s.Metric == metric {
			return s, nil
		}
	}
	return Series{Metric: metric}, nil
}
