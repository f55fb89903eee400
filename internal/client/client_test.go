package client

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
)

// serve answers every request with h and gives a client for it.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c, err := New(s.URL+"/", "secret")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDevicesComeFromAllPagesInOrder(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		page := map[string]string{
			"":   `{"items":[{"id":"a"},{"id":"b"}],"next":"b1"}`,
			"b1": `{"items":[{"id":"c"}],"next":"c1"}`,
			"c1": `{"items":[]}`,
		}[r.URL.Query().Get("cursor")]
		fmt.Fprint(w, page)
	})
	var got []string
	for d, err := range c.Devices(t.Context(), Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, d.ID)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, got); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
}

func TestAnErrorEndsTheList(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("cursor") {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `{"items":[{"id":"a"}],"next":"x"}`)
	})
	n, last := 0, error(nil)
	for _, err := range c.Devices(t.Context(), Query{}) {
		n, last = n+1, err
	}
	if n != 2 || trefoil.CodeOf(last) != trefoil.CodeUnavailable {
		t.Errorf("got %d items, the last with error %v; want 2 and unavailable", n, last)
	}
}

func TestALinkIsRedeemedOnce(t *testing.T) {
	used := false
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			t.Error("the redirect was followed")
		}
		if !used {
			http.SetCookie(w, &http.Cookie{Name: "trefoil_session", Value: "token"})
		}
		used = true
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	link := c.Server() + "/api/v1/login/link?ticket=x"
	if token, err := c.Redeem(t.Context(), link); token != "token" || err != nil {
		t.Errorf("first: got %q, %v; want the token", token, err)
	}
	if token, err := c.Redeem(t.Context(), link); token != "" || trefoil.CodeOf(err) != trefoil.CodeUnauthorized {
		t.Errorf("second: got %q, %v; want unauthorized", token, err)
	}
}

func TestAnswersThatAreNotTrefoilsAreErrors(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		code   trefoil.Code
	}{
		"page of a proxy": {http.StatusBadGateway, "<html>", trefoil.CodeUnavailable},
		"another server":  {http.StatusOK, "<html>", trefoil.CodeInternal},
		"no such path":    {http.StatusNotFound, "404", trefoil.CodeNotFound},
	} {
		client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			fmt.Fprint(w, c.body)
		})
		_, err := client.Device(t.Context(), "a")
		if got := trefoil.CodeOf(err); got != c.code {
			t.Errorf("%s: got %v (%s), want %s", name, err, got, c.code)
		}
	}
}

func TestNoAnswerNamesTheServer(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	c, err := New(s.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Me(t.Context())
	var u *Unreachable
	if !errors.As(err, &u) || !strings.HasPrefix(err.Error(), "no answer from "+s.URL+": ") || strings.Contains(err.Error(), "/api/") {
		t.Errorf("got %v, want no answer from %s", err, s.URL)
	}
}

func TestAServerIsAnHTTPAddress(t *testing.T) {
	for _, s := range []string{"", "localhost", "localhost:8080", "mqtt://x", "http://", "http://a b"} {
		if _, err := New(s, ""); err == nil {
			t.Errorf("New(%q): no error", s)
		}
	}
}
