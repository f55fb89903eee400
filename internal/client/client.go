// Package client talks to a running Trefoil server over its REST and live
// APIs, for the commands of the command line. It knows the API's documents,
// not the server's packages.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// Client calls one server with one token. Safe for concurrent use.
type Client struct {
	base  *url.URL
	token string
	http  *http.Client
}

// New makes a client for the server at base, such as http://localhost:8080.
// token may be empty for what needs none.
func New(base, token string) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("%q is no address of a server; write it as http://localhost:8080", base)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	u.RawQuery, u.Fragment = "", ""
	h := &http.Client{
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Client{base: u, token: token, http: h}, nil
}

// WithToken is a client of the same server for somebody else.
func (c *Client) WithToken(token string) *Client {
	return &Client{base: c.base, token: token, http: c.http}
}

// Server is the address that the client was made for.
func (c *Client) Server() string { return c.base.String() }

// Host is the host of the server without its port.
func (c *Client) Host() string { return c.base.Hostname() }

// Unreachable is the error of a request that got no answer.
type Unreachable struct {
	Server string
	Cause  error
}

func (e *Unreachable) Error() string {
	return fmt.Sprintf("no answer from %s: %v", e.Server, e.Cause)
}

func (e *Unreachable) Unwrap() error { return e.Cause }

// maxAnswer bounds what a server can make us hold.
const maxAnswer = 64 << 20

// call sends in as JSON, unless it is nil, and reads the answer into out,
// unless that is nil. A refusal is a [trefoil.Error] with the server's code
// and sentence; no answer is an [Unreachable].
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	resp, err := c.send(ctx, method, c.address(path, query), body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return &Unreachable{c.Server(), err}
	case resp.StatusCode == http.StatusUnauthorized && c.token == "" && path != loginPath:
		return c.notLoggedIn()
	case resp.StatusCode/100 != 2:
		return refusal(resp, answer)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s does not answer like a Trefoil server: %w", c.Server(), err)
	}
	return nil
}

func (c *Client) address(path string, query url.Values) string {
	u := *c.base
	u.Path += path
	u.RawQuery = query.Encode()
	return u.String()
}

func (c *Client) send(ctx context.Context, method, address string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var wrapped *url.Error // repeats method and address
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, &Unreachable{c.Server(), err}
	}
	return resp, nil
}

func (c *Client) notLoggedIn() error {
	return trefoil.Errorf(trefoil.CodeUnauthorized, "not logged in at %s", c.Server())
}

// refusal reads a problem document.
func refusal(resp *http.Response, body []byte) error {
	var p struct {
		Code   trefoil.Code `json:"code"`
		Detail string       `json:"detail"`
		Errors []struct {
			Location string `json:"location"`
			Message  string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &p) != nil || p.Code == "" {
		return trefoil.Errorf(codeOf(resp.StatusCode), "the server answers %s", resp.Status)
	}
	for i, e := range p.Errors {
		separator := "; "
		if i == 0 {
			separator = ": "
		}
		p.Detail += separator + strings.TrimSpace(e.Location+" "+e.Message)
	}
	return trefoil.Errorf(p.Code, "%s", p.Detail)
}

// codeOf is for answers that are not Trefoil's, such as those of a proxy.
func codeOf(status int) trefoil.Code {
	switch status {
	case http.StatusUnauthorized:
		return trefoil.CodeUnauthorized
	case http.StatusForbidden:
		return trefoil.CodeForbidden
	case http.StatusNotFound:
		return trefoil.CodeNotFound
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return trefoil.CodeUnavailable
	default:
		return trefoil.CodeInternal
	}
}
