package api

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/registry"
)

func historyBench(t *testing.T) *bench {
	b := newBench(t)
	b.request("PUT /api/v1/profiles/room", `{"metrics":{"temperature":{"unit":"°C"}}}`).want(200)
	b.request("POST /api/v1/devices", `{"id":"a","profile":"room"}`).want(201)
	b.request("POST /api/v1/devices/a/telemetry", `[
		{"ts":"2026-03-01T10:00:00Z","temperature":20,"door":"open"},
		{"ts":"2026-03-01T10:00:30Z","temperature":22},
		{"ts":"2026-03-01T10:01:00.0005Z","temperature":25,"door":"shut"}]`).want(200)
	return b
}

func TestHistoryGivesColumns(t *testing.T) {
	b := historyBench(t)
	const from = `{"from":1772359200000,"to":1772362800000,`
	for query, want := range map[string]string{
		"metric=temperature&from=2026-03-01T10:00:00Z&to=2026-03-01T11:00:00Z": from + `"series":[{"metric":"temperature","unit":"°C",` +
			`"t":[1772359200000,1772359230000,1772359260000.5],"v":[20,22,25]}]}`,
		"metric=temperature&from=1772359200000&to=-1h&step=1m": from + `"step":60000,"series":[{"metric":"temperature","unit":"°C",` +
			`"t":[1772359200000,1772359260000],"avg":[21,25],"min":[20,25],"max":[22,25],"count":[2,1]}]}`,
		"metric=door&metric=temperature&from=-2h&to=-60m&step=3600000&agg=last,avg&agg=count": from + `"step":3600000,"series":[` +
			`{"metric":"door","unit":"","t":[1772359200000],"last":["shut"],"avg":[null],"count":[2]},` +
			`{"metric":"temperature","unit":"°C","t":[1772359200000],"last":[25],"avg":[22.333333333333332],"count":[3]}]}`,
		"from=-2h&to=-1h&limit=1": from + `"series":[{"metric":"door","unit":"","t":[1772359200000],"v":["open"],"more":true},` +
			`{"metric":"temperature","unit":"°C","t":[1772359200000],"v":[20],"more":true}]}`,
		"metric=temperature&from=-2h&to=-1h&points=2": from + `"series":[{"metric":"temperature","unit":"°C","t":[1772359200000,1772359260000.5],"v":[20,25]}]}`,
	} {
		got := b.request("GET /api/v1/devices/a/history?"+query, "").want(200).body
		if diff := cmp.Diff(want+"\n", got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	b.request("GET /api/v1/devices/a/history", "").want(200, `"from":1772280000000,"to":1772366400000`)
	b.request("GET /api/v1/devices/a/history?metric=door&from=-10m", "").want(200, `"t":[],"v":[]`)
}

func TestBadQueriesNameTheParameterAndWhatIsAllowed(t *testing.T) {
	b := historyBench(t)
	for query, parts := range map[string][]string{
		"from=yesterday":      {"query.from", "RFC 3339", "-24h"},
		"to=1e9":              {"query.to", "Unix milliseconds"},
		"from=now&to=-1h":     {"from", "before"},
		"from=now&to=now":     {"before"},
		"step=fast":           {"query.step", "5m"},
		"step=10ms":           {"query.step", "1s"},
		"step=-1m":            {"query.step"},
		"step=1m&agg=median":  {"query.agg", "median", "avg, min, max, sum, count, first, last"},
		"agg=avg":             {"agg needs step"},
		"points=1":            {"points", "2 to 20000"},
		"points=x":            {"query.points", "whole numbers"},
		"points=50000":        {"points", "2 to 20000"},
		"limit=0":             {"query.limit"},
		"step=1m&points=10":   {"exclude"},
		"metrics=temperature": {"query.metrics", "metric, from"},
	} {
		b.request("GET /api/v1/devices/a/history?"+query, "").problem(422, trefoil.CodeInvalid, parts...)
	}
	b.request("GET /api/v1/devices/a/history?step=1s&from=-10w", "").problem(422, trefoil.CodeTooMany, "20000")
	b.request("GET /api/v1/devices/a/history?metric=nope", "").problem(404, trefoil.CodeNotFound, "door, temperature")
	b.request("GET /api/v1/devices/nope/history", "").problem(404, trefoil.CodeNotFound)
}

func TestTheWrittenHistoryIsTheDocumentedOne(t *testing.T) {
	number, text := trefoil.NumberValue, trefoil.TextValue
	a := history.Answer{From: 1000, To: 5000, Step: time.Second, Series: []history.Series{
		{Metric: "a\"b", T: []trefoil.Instant{1000, 2001}, V: []trefoil.Value{number(1.5), text("x\n")}},
		{Metric: "c", T: []trefoil.Instant{1000}, More: true, Columns: []history.Column{
			{Aggregate: history.Avg, V: []trefoil.Value{number(1e300)}},
			{Aggregate: history.Count, V: []trefoil.Value{number(7)}},
			{Aggregate: history.First, V: []trefoil.Value{text("")}},
		}},
	}}
	got := appendHistory(nil, a, registry.Profile{Metrics: map[string]registry.Metric{"c": {Unit: "µ\"m"}}})
	type series struct {
		Metric, Unit  string
		T             []float64
		V, Avg, First []any
		Count         []int64
		More          bool
	}
	var doc struct {
		From, To, Step float64
		Series         []series
	}
	d := json.NewDecoder(strings.NewReader(string(got)))
	d.DisallowUnknownFields()
	if err := d.Decode(&doc); err != nil {
		t.Fatalf("decode %s: %v", got, err)
	}
	want := []series{
		{Metric: "a\"b", T: []float64{1, 2.001}, V: []any{1.5, "x\n"}},
		{Metric: "c", Unit: "µ\"m", T: []float64{1}, Avg: []any{1e300}, First: []any{""}, Count: []int64{7}, More: true},
	}
	if diff := cmp.Diff(want, doc.Series); diff != "" || doc.From != 1 || doc.To != 5 || doc.Step != 1000 {
		t.Errorf("from %v to %v step %v, series (-want +got):\n%s", doc.From, doc.To, doc.Step, diff)
	}
}

func BenchmarkHistoryOf100000Readings(b *testing.B) {
	s := history.Series{Metric: "temperature"}
	for i := range 100_000 {
		s.T = append(s.T, trefoil.Instant(i)*10_000_000)
		s.V = append(s.V, trefoil.NumberValue(float64(i%1000)/100))
	}
	a := history.Answer{To: 1, Series: []history.Series{s}}
	for b.Loop() {
		b.SetBytes(int64(len(appendHistory(nil, a, registry.Profile{}))))
	}
}

func TestEveryDocumentedParameterOfHistoryIsRead(t *testing.T) {
	for _, name := range historyNames() {
		if _, err := historyQuery(url.Values{name: {"?"}}, start); name != "metric" && err == nil {
			t.Errorf("%s=?: got no error, want one", name)
		}
	}
}
