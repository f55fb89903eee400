package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/trefoil-iot/trefoil"
)

const loginPath = "/api/v1/login"

// Login gives a token for the user.
func (c *Client) Login(ctx context.Context, user, password string) (string, error) {
	in := map[string]string{"username": user, "password": password}
	var out struct {
		Token string `json:"token"`
	}
	err := c.call(ctx, http.MethodPost, loginPath, nil, in, &out)
	return out.Token, err
}

// Redeem follows a login link of this server, which works once, and gives the
// token of the session that it opens.
func (c *Client) Redeem(ctx context.Context, link string) (string, error) {
	if _, err := url.Parse(link); err != nil {
		return "", trefoil.Errorf(trefoil.CodeInvalid, "the login link is no address")
	}
	resp, err := c.send(ctx, http.MethodGet, link, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	for _, cookie := range resp.Cookies() {
		if cookie.Name == "trefoil_session" && cookie.Value != "" {
			return cookie.Value, nil
		}
	}
	return "", trefoil.Errorf(trefoil.CodeUnauthorized, "the login link is used up")
}

// User is who a token belongs to.
type User struct {
	Name string `json:"name"`
	Role string `json:"role"`
}

// Me tells who the client is.
func (c *Client) Me(ctx context.Context) (User, error) {
	var u User
	err := c.call(ctx, http.MethodGet, "/api/v1/me", nil, nil, &u)
	return u, err
}

// MQTTPort gives the port that the server's devices connect to.
func (c *Client) MQTTPort(ctx context.Context) (int, error) {
	var s struct {
		MQTT struct {
			Port int `json:"port"`
		} `json:"mqtt"`
	}
	err := c.call(ctx, http.MethodGet, "/api/v1/server", nil, nil, &s)
	return s.MQTT.Port, err
}
