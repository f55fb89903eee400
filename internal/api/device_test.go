package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
)

func TestADeviceFromCreationToDeletion(t *testing.T) {
	b := newBench(t)
	made := b.request("POST /api/v1/devices", `{"id":"pump-7","name":"Pump 7","tags":{"site":"roanoke"}}`).want(201)
	if got, want := made.header.Get("Location"), "/api/v1/devices/pump-7"; got != want {
		t.Errorf("location: got %q, want %q", got, want)
	}
	var device map[string]any
	made.into(&device)
	if token, _ := device["token"].(string); !strings.HasPrefix(token, "tfd_") || len(token) != 47 {
		t.Errorf("token: got %q, want tfd_ and 43 characters", token)
	}
	delete(device, "token")
	want := map[string]any{
		"id": "pump-7", "name": "Pump 7", "tags": map[string]any{"site": "roanoke"}, "profile": "", "online": false,
		"presence":    map[string]any{"online": false, "reason": ""},
		"explanation": "Never connected, and nobody tried to log in with its id.",
		"created":     "2026-03-01T12:00:00Z", "updated": "2026-03-01T12:00:00Z",
	}
	if diff := cmp.Diff(want, device); diff != "" {
		t.Errorf("created device (-want +got):\n%s", diff)
	}
	var found map[string]any
	b.request("GET /api/v1/devices/pump-7", "").want(200).into(&found)
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("found device (-want +got):\n%s", diff)
	}
	b.request("PATCH /api/v1/devices/pump-7", `{"name":"Big pump","tags":["floor:2"]}`).want(200, `"name":"Big pump"`, `"tags":{"floor":"2"}`)
	b.request("DELETE /api/v1/devices/pump-7", "").want(204)
	b.request("GET /api/v1/devices/pump-7", "").problem(404, trefoil.CodeNotFound, `no device \"pump-7\"`)
	b.request("DELETE /api/v1/devices/pump-7", "").problem(404, trefoil.CodeNotFound)
}

func TestBadDevicesGetAProblemThatSaysWhat(t *testing.T) {
	b := newBench(t)
	b.device("taken")
	for _, c := range []struct {
		body   string
		status int
		code   trefoil.Code
		part   string
	}{
		{`{"id":"taken"}`, 409, trefoil.CodeConflict, "exists already"},
		{`{"id":"a/b"}`, 422, trefoil.CodeInvalid, "allowed are"},
		{`{"id":"` + strings.Repeat("x", 65) + `"}`, 422, trefoil.CodeInvalid, "at most 64"},
		{`{"id":7}`, 422, trefoil.CodeInvalid, "body.id"},
		{`{"id":"a","colour":"red"}`, 422, trefoil.CodeInvalid, "body.colour"},
		{`{"id":"a","tags":{"k":1}}`, 422, trefoil.CodeInvalid, "body.tags"},
		{`{"id":"a","profile":"nope"}`, 422, trefoil.CodeInvalid, "nope"},
		{`{"id":`, 400, trefoil.CodeInvalid, "body"},
		{`[]`, 422, trefoil.CodeInvalid, "object"},
		{``, 400, trefoil.CodeInvalid, "body is required"},
		{`{"name":"` + strings.Repeat("x", maxBody) + `"}`, 413, trefoil.CodeTooLarge, fmt.Sprint(maxBody)},
	} {
		b.request("POST /api/v1/devices", c.body).problem(c.status, c.code, c.part)
	}
	b.as("Bearer "+b.admin, "POST /api/v1/devices", "id: a", "Content-Type", "application/yaml").problem(415, trefoil.CodeInvalid, "yaml")
}

func TestABodyWithTheDefaultTypeOfCurlIsJSON(t *testing.T) {
	b := newBench(t)
	const form = "application/x-www-form-urlencoded"
	b.as("Bearer "+b.admin, "POST /api/v1/devices", `{"id":"a"}`, "Content-Type", form).want(201)
	b.as("Bearer "+b.admin, "POST /api/v1/devices", `id=a`, "Content-Type", form).problem(400, trefoil.CodeInvalid, "body: invalid character")
	b.as("Bearer "+b.admin, "PATCH /api/v1/devices/a", `{"name":"b"}`, "Content-Type", "application/merge-patch+json").want(200, `"name":"b"`)
}

func TestAListPagesAndFilters(t *testing.T) {
	b := newBench(t)
	for i := range 7 {
		b.request("POST /api/v1/devices", fmt.Sprintf(`{"id":"d%d","tags":{"site":"s%d","kind":"k"}}`, i, i%2)).want(201)
	}
	type page struct {
		Items []struct{ ID string }
		Next  string
		Total int
	}
	var ids []string
	for next := ""; ; {
		var p page
		b.request("GET /api/v1/devices?limit=3&cursor="+next, "").want(200).into(&p)
		if p.Total != 7 {
			t.Errorf("total: got %d, want 7", p.Total)
		}
		for _, d := range p.Items {
			ids = append(ids, d.ID)
		}
		if next = p.Next; next == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"d0", "d1", "d2", "d3", "d4", "d5", "d6"}, ids); diff != "" {
		t.Errorf("all pages (-want +got):\n%s", diff)
	}
	for query, want := range map[string]int{
		"tag=site:s0": 4, "tag=site:s0&tag=kind:k": 4, "tag=site:s0&tag=site:s1": 0, "q=D3": 1, "online=true": 0, "online=false": 7,
	} {
		var p page
		if b.request("GET /api/v1/devices?"+query, "").want(200).into(&p); p.Total != want || len(p.Items) != want {
			t.Errorf("%s: got %d of %d devices, want %d", query, len(p.Items), p.Total, want)
		}
	}
	for query, part := range map[string]string{
		"limit=0": "query.limit", "limit=1001": "query.limit", "limit=x": "query.limit", "online=maybe": "query.online", "cursor=!!": "query.cursor",
	} {
		b.request("GET /api/v1/devices?"+query, "").problem(422, trefoil.CodeInvalid, part)
	}
}

func TestANewTokenRevokesTheOldOne(t *testing.T) {
	b := newBench(t)
	old := b.device("a")
	b.as("Bearer "+old, "GET /api/v1/devices/a/latest", "").want(200)
	var made struct{ Token string }
	b.request("POST /api/v1/devices/a/token", "").want(201).into(&made)
	b.as("Bearer "+old, "GET /api/v1/devices/a/latest", "").problem(401, trefoil.CodeUnauthorized)
	b.as("Bearer "+made.Token, "GET /api/v1/devices/a/latest", "").want(200)
	b.request("POST /api/v1/devices/nope/token", "").problem(404, trefoil.CodeNotFound)
}

func TestAProfileFromCreationToDeletion(t *testing.T) {
	b := newBench(t)
	b.request("PUT /api/v1/profiles/pump", `{"label":"Pump","metrics":{"flow":{"unit":"l/min","min":0,"max":90,"decimals":1,"cadence":"10s","kind":"number"}}}`).
		want(200, `"name":"pump"`)
	b.request("GET /api/v1/profiles", "").want(200, `{"items":[{"name":"pump"`)
	b.request("GET /api/v1/profiles/pump", "").want(200, `"unit":"l/min"`)
	b.request("PUT /api/v1/profiles/pump", `{"name":"other"}`).problem(422, trefoil.CodeInvalid, "body.name")
	b.request("PUT /api/v1/profiles/pump", `{"metrics":{"flow":{"min":2,"max":1}}}`).problem(422, trefoil.CodeInvalid, "metrics.flow: min 2 is not below max 1")
	b.request("PUT /api/v1/profiles/pump", `{"metrics":{"flow":{"kind":"picture"}}}`).problem(422, trefoil.CodeInvalid, "body.metrics.flow.kind")
	b.request("POST /api/v1/devices", `{"id":"a","profile":"pump"}`).want(201)
	b.request("DELETE /api/v1/profiles/pump", "").problem(409, trefoil.CodeConflict, "1 devices have")
	b.request("DELETE /api/v1/devices/a", "").want(204)
	b.request("DELETE /api/v1/profiles/pump", "").want(204)
	b.request("GET /api/v1/profiles/pump", "").problem(404, trefoil.CodeNotFound)
}
