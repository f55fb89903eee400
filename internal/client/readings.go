package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Readings gives readings of a device as the server streams them, in the
// format and range of query. The caller closes what it gets; an answer that is
// cut off ends with an error, never like a complete one.
func (c *Client) Readings(ctx context.Context, device string, query url.Values) (io.ReadCloser, error) {
	return c.stream(ctx, http.MethodGet, devicePath(device, "/history"), query, nil)
}

// Imported is what a server says about an import.
type Imported struct {
	Lines   int  `json:"lines"`
	Stored  int  `json:"stored"`
	Refused int  `json:"refused"`
	Stopped bool `json:"stopped"`
	Errors  []struct {
		Line    int    `json:"line"`
		Message string `json:"message"`
	} `json:"errors"`
}

// Import stores lines of readings and returns when they are durable. strict
// ends at the first line that is refused.
func (c *Client) Import(ctx context.Context, lines io.Reader, strict bool) (Imported, error) {
	query := url.Values{}
	if strict {
		query.Set("strict", "true")
	}
	body, err := c.stream(ctx, http.MethodPost, "/api/v1/import", query, lines)
	if err != nil {
		return Imported{}, err
	}
	defer body.Close()
	var out Imported
	if err := json.NewDecoder(io.LimitReader(body, maxAnswer)).Decode(&out); err != nil {
		return Imported{}, fmt.Errorf("%s does not answer like a Trefoil server: %w", c.Server(), err)
	}
	return out, nil
}

// stream sends a request that may take as long as ctx lasts.
func (c *Client) stream(ctx context.Context, method, path string, query url.Values, body io.Reader) (io.ReadCloser, error) {
	patient := *c.http
	patient.Timeout = 0
	long := &Client{base: c.base, token: c.token, http: &patient}
	resp, err := long.send(ctx, method, c.address(path, query), body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, &Unreachable{c.Server(), err}
	case resp.StatusCode == http.StatusUnauthorized && c.token == "":
		return nil, c.notLoggedIn()
	default:
		return nil, refusal(resp, answer)
	}
}
