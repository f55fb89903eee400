package e2e

import (
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

func TestTheDemoFleetComesOnlineAndItsLinkLogsIn(t *testing.T) {
	s := launch(t, trefoiltest.Options{Command: "demo", Dir: t.TempDir()})
	var link string
	await(t, "the link in the output", func() bool {
		link = regexp.MustCompile(`http://\S+ticket=\S+`).FindString(s.Output())
		return link != ""
	})
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar}
	resp, err := browser.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/" {
		t.Fatalf("%s: got status %d at %s, want 200 at /", link, resp.StatusCode, resp.Request.URL)
	}
	session := sessionOf(jar, resp)
	if session == "" {
		t.Fatal("the link set no session cookie")
	}

	client := &trefoiltest.Client{Base: "http://" + s.HTTP, Token: session}
	const least = 20
	await(t, "20 devices online with values", func() bool {
		var fleet struct {
			Items []struct {
				ID     string
				Latest map[string]any
			}
		}
		if err := client.Call(t.Context(), "GET", "/api/v1/devices?online=true&latest=true&limit=1000", nil, &fleet); err != nil {
			t.Fatal(err)
		}
		speaking := 0
		for _, d := range fleet.Items {
			if len(d.Latest) > 0 {
				speaking++
			}
		}
		return speaking >= least
	})
	if err := s.Stop(t.Context()); err != nil {
		t.Errorf("stop the demo: %v", err)
	}
}

// sessionOf is the value of the session cookie that the server set.
func sessionOf(jar http.CookieJar, resp *http.Response) string {
	for _, c := range jar.Cookies(resp.Request.URL) {
		if c.Name == "trefoil_session" {
			return c.Value
		}
	}
	return ""
}
