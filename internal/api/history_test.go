package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
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
		"step=1m&agg=median":  {"query.agg", "median", "avg, min, max, sum, count, first, last, p50, p95, rate, twa, states"},
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
	a := []history.Series{
		{Metric: "a\"b", T: []trefoil.Instant{1000, 2001}, V: []trefoil.Value{number(1.5), text("x\n")}},
		{Metric: "c", T: []trefoil.Instant{1000}, More: true, Columns: []history.Column{
			{Aggregate: history.Avg, V: []trefoil.Value{number(1e300)}},
			{Aggregate: history.Count, V: []trefoil.Value{number(7)}},
			{Aggregate: history.First, V: []trefoil.Value{text("")}},
		}},
	}
	w := httptest.NewRecorder()
	j := &historyJSON{out: newStream(w), query: history.Query{From: 1000, To: 5000, Step: history.Every(time.Second)}}
	for i, s := range a {
		must(t, j.append(s, []string{"", "µ\"m"}[i]))
	}
	must(t, j.close())
	must(t, j.out.end(nil))
	got := w.Body.Bytes()
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
	for b.Loop() {
		j := &historyJSON{}
		b.SetBytes(int64(len(j.series(nil, s, "°C"))))
	}
}

func TestEveryDocumentedParameterOfHistoryIsRead(t *testing.T) {
	for _, name := range historyNames() {
		if _, _, err := historyQuery(url.Values{name: {"?"}}, start); name != "metric" && err == nil {
			t.Errorf("%s=?: got no error, want one", name)
		}
	}
}

// versioned lets a bench cache what has not changed.
type versioned struct {
	*history.Versions
	store interface{ Seq() trefoil.Seq }
}

func (v versioned) Version(id trefoil.DeviceID, to trefoil.Instant) (string, bool) {
	seq, ok := v.Of(id, to, v.store.Seq())
	return strconv.FormatUint(uint64(seq), 10), ok
}

// told waits until the observers of the latest commit have run, which is
// after its acks.
func (b *bench) told() {
	b.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range 10_000 {
		if _, ok := b.changes.Version("a", trefoil.InstantOf(start)); ok {
			return
		}
		<-tick.C
	}
	b.t.Fatal("the observers of the latest commit did not run")
}

const closedRange = "GET /api/v1/devices/a/history?metric=temperature&from=2026-03-01T10:00:00Z&to=2026-03-01T11:00:00Z"

func TestAClosedRangeIsNotSentTwiceUntilALateReadingChangesIt(t *testing.T) {
	b := historyBench(t)
	get := func(line, tag string) answer {
		b.told()
		return b.as("Bearer "+b.admin, line, "", "If-None-Match", tag)
	}
	tag := get(closedRange, "").want(200).header.Get("ETag")
	if tag == "" {
		t.Fatal("got no ETag of a closed range")
	}
	for _, known := range []string{tag, `"x", W/` + tag} {
		if a := get(closedRange, known).want(304); a.body != "" || a.header.Get("ETag") != tag || a.header.Get("Cache-Control") != closedCache {
			t.Errorf("If-None-Match %s: got %q and %v, want nothing, the tag and %q", known, a.body, a.header, closedCache)
		}
	}
	b.request("POST /api/v1/devices/a/telemetry", `{"ts":"2026-03-01T11:30:00Z","temperature":7}`).want(200)
	get(closedRange, tag).want(304)
	b.request("POST /api/v1/devices/a/telemetry", `{"ts":"2026-03-01T10:30:00Z","temperature":7}`).want(200) // late
	changed := get(closedRange, tag).want(200, "7").header.Get("ETag")
	b.request("POST /api/v1/devices/a/telemetry", `{"ts":"2026-03-01T09:00:00Z","temperature":1}`).want(200) // may be carried into it
	get(closedRange, changed).want(200)
}

func TestWhatElseIsInAnAnswerChangesItsTag(t *testing.T) {
	b := historyBench(t)
	seen := map[string]string{}
	for _, line := range []string{
		closedRange, closedRange + "&step=1m", closedRange + "&format=csv",
		strings.Replace(closedRange, "metric=temperature", "metric=door", 1), strings.Replace(closedRange, "10:00:00", "10:00:01", 1),
	} {
		b.told()
		tag := b.request(line, "").want(200).header.Get("ETag")
		if before := seen[tag]; before != "" || tag == "" {
			t.Errorf("%s has the tag %q of %q", line, tag, before)
		}
		seen[tag] = line
	}
	b.request("PUT /api/v1/profiles/room", `{"metrics":{"temperature":{"unit":"K"}}}`).want(200)
	b.told()
	if tag := b.request(closedRange, "").want(200, `"K"`).header.Get("ETag"); seen[tag] != "" {
		t.Errorf("with another unit: got the same tag %s", tag)
	}
}

func TestARangeThatMayGrowIsNotCached(t *testing.T) {
	b := historyBench(t)
	for _, query := range []string{
		"", "from=-3h&to=-1h", "from=2026-03-01&to=now", "from=2026-03-01&to=2026-03-01T11:59:30Z", "from=2026-03-01&to=2026-03-02",
	} {
		h := b.request("GET /api/v1/devices/a/history?"+query, "").want(200).header
		if h.Get("ETag") != "" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: got ETag %q and Cache-Control %q, want none and no-store", query, h.Get("ETag"), h.Get("Cache-Control"))
		}
	}
}

func TestHistoryComesInTheFormatThatIsAskedFor(t *testing.T) {
	b := historyBench(t)
	const query = "GET /api/v1/devices/a/history?from=2026-03-01T10:00:00Z&to=2026-03-01T11:00:00Z"
	const csv = "time,ms,device,metric,unit,value,kind\r\n" +
		"2026-03-01T10:00:00Z,1772359200000,a,door,,open,text\r\n" +
		"2026-03-01T10:01:00.0005Z,1772359260000.5,a,door,,shut,text\r\n" +
		"2026-03-01T10:00:00Z,1772359200000,a,temperature,°C,20,number\r\n" +
		"2026-03-01T10:00:30Z,1772359230000,a,temperature,°C,22,number\r\n" +
		"2026-03-01T10:01:00.0005Z,1772359260000.5,a,temperature,°C,25,number\r\n"
	for _, c := range []struct{ line, accept, media, want string }{
		{query + "&format=csv", "", "text/csv; charset=utf-8", csv},
		{query, "text/html, text/csv;q=0.9", "application/json", ""},
		{query, "text/csv", "text/csv; charset=utf-8", csv},
		{query + "&limit=1&metric=door", "application/x-ndjson", "application/x-ndjson", `{"time":"2026-03-01T10:00:00Z","ms":1772359200000,"device":"a","metric":"door","unit":"","value":"open"}` + "\n"},
		{
			query + "&step=1h&agg=avg,states,count&format=csv", "application/json", "text/csv; charset=utf-8",
			"time,ms,device,metric,unit,avg,states,count\r\n" +
				"2026-03-01T10:00:00Z,1772359200000,a,door,,,\"{\"\"shut\"\":3539.9995,\"\"open\"\":60.0005}\",2\r\n" +
				"2026-03-01T10:00:00Z,1772359200000,a,temperature,°C,22.333333333333332,{},3\r\n",
		},
		{query + "&format=json", "text/csv", "application/json", ""},
	} {
		a := b.as("Bearer "+b.admin, c.line, "", "Accept", c.accept).want(200)
		if got := a.header.Get("Content-Type"); got != c.media {
			t.Errorf("%s, Accept %q: got %s, want %s", c.line, c.accept, got, c.media)
		}
		if diff := cmp.Diff(c.want, a.body); c.want != "" && diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.line, diff)
		}
	}
	parquet := b.request(query+"&format=parquet", "").want(200)
	if !strings.HasPrefix(parquet.body, "PAR1") || !strings.HasSuffix(parquet.body, "PAR1") {
		t.Errorf("Parquet: got %d bytes that are not a file", len(parquet.body))
	}
}

func TestAQueryGroupsDevicesByATag(t *testing.T) {
	b := newBench(t)
	for id, site := range map[string]string{"a": "north", "b": "north", "c": "south", "d": ""} {
		tags := `{"site":"` + site + `"}`
		if site == "" {
			tags = `{}`
		}
		b.request("POST /api/v1/devices", `{"id":"`+id+`","tags":`+tags+`}`).want(201)
		b.request("POST /api/v1/devices/"+id+"/telemetry", `[{"ts":"2026-03-01T10:00:00Z","t":20,"`+id+`":1},{"ts":"2026-03-01T10:30:00Z","t":`+map[string]string{"a": "30", "b": "40", "c": "50", "d": "60"}[id]+`}]`).want(200)
	}
	const at = `"from":"2026-03-01T10:00:00Z","to":"2026-03-01T11:00:00Z"`
	for body, want := range map[string]string{
		`{"metrics":["t"],"step":"1h","agg":["avg,count"],"groupBy":"tag:site",` + at + `}`: `"series":[` +
			`{"group":"north","devices":2,"metric":"t","unit":"","t":[1772359200000],"avg":[27.5],"count":[4]},` +
			`{"group":"south","devices":1,"metric":"t","unit":"","t":[1772359200000],"avg":[35],"count":[2]},` +
			`{"group":"","devices":1,"metric":"t","unit":"","t":[1772359200000],"avg":[40],"count":[2]}]}`,
		`{"tags":["site:north"],"metrics":["t"],"step":"1h","agg":["max"],"groupBy":"none",` + at + `}`: `"series":[` +
			`{"group":"","devices":2,"metric":"t","unit":"","t":[1772359200000],"max":[40]}]}`,
		`{"devices":["b","a"],"metrics":["a"],` + at + `}`: `"series":[{"device":"a","metric":"a","unit":"","t":[1772359200000],"v":[1]}]}`,
		`{"devices":["c"],"step":"1d","tz":"Asia/Kolkata","agg":["last"],"fill":"previous","metrics":["t"],` + at + `}`: `"step":86400000,"tz":"Asia/Kolkata","series":[` +
			`{"device":"c","metric":"t","unit":"","t":[1772303400000],"last":[50]}]}`,
	} {
		if got := b.request("POST /api/v1/query", body).want(200).body; !strings.HasSuffix(got, want+"\n") {
			t.Errorf("%s:\n got %s\nwant …%s", body, got, want)
		}
	}
	for body, parts := range map[string][]string{
		`{"groupBy":"site","step":"1h"}`:   {"body.groupBy", "tag:KEY"},
		`{"groupBy":"none"}`:               {"groups need step"},
		`{"devices":["a"],"tags":["x"]}`:   {"exclude"},
		`{"step":"-5m"}`:                   {"body.step", "1mo"},
		`{"step":"1h","tz":"Europe/Lyon"}`: {"body.tz", "Europe/Paris"},
		`{"step":"1h","fill":"zero"}`:      {"body.fill", "none, null, previous, linear"},
		`{"format":"xml"}`:                 {"body.format", "parquet"},
		`{"metric":["t"]}`:                 {"body", "metric"},
	} {
		b.request("POST /api/v1/query", body).problem(422, trefoil.CodeInvalid, parts...)
	}
	b.request("POST /api/v1/query", `{"metrics":["x"]}`).problem(404, trefoil.CodeNotFound, "a, b, c, d, t")
	b.request("POST /api/v1/query", `{"devices":["x"]}`).problem(404, trefoil.CodeNotFound, "there are a, b, c, d")
	b.request("POST /api/v1/query", `{"tags":["site:west"]}`).problem(404, trefoil.CodeNotFound, "site:west")
	b.request("POST /api/v1/query", `{"step":"1s","from":"-10w"}`).problem(422, trefoil.CodeTooMany, "20000")
}

func TestGapsOverHTTP(t *testing.T) {
	b := newBench(t)
	b.device("a")
	var list []string
	for i := range 60 {
		if i < 20 || i > 30 {
			list = append(list, fmt.Sprintf(`{"ts":%d,"t":1}`, 1772359200+i*10))
		}
	}
	for i := 0; i < len(list); i += 20 {
		b.request("POST /api/v1/devices/a/telemetry", "["+strings.Join(list[i:min(i+20, len(list))], ",")+"]").want(200)
	}
	const line = "GET /api/v1/devices/a/history/gaps?from=2026-03-01T10:00:00Z&to=2026-03-01T10:10:00Z"
	want := `{"from":1772359200000,"to":1772359800000,"factor":3,"series":[{"metric":"t","readings":49,"cadence":10000,"missing":11,"time":120000,` +
		`"gaps":[{"from":1772359390000,"to":1772359510000,"missing":11}]}]}` + "\n"
	if diff := cmp.Diff(want, b.request(line, "").want(200).body); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
	b.request(line+"&factor=20", "").want(200, `"gaps":[]`)
	b.request(line+"&cadence=1s", "").want(200, `"cadence":1000`)
	b.request(line+"&factor=x", "").problem(422, trefoil.CodeInvalid, "query.factor", "1.1")
	b.request(line+"&factor=0.5", "").problem(422, trefoil.CodeInvalid, "1.1 to 1000")
	b.request(line+"&cadence=x", "").problem(422, trefoil.CodeInvalid, "query.cadence", "10s")
	b.request(line+"&metric=x", "").problem(404, trefoil.CodeNotFound, "there are t")
}
