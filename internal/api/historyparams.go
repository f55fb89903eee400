package api

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/history/table"
)

const (
	timeHelp = "RFC 3339, Unix milliseconds, a date, now, or relative such as -24h (units s m h d w)"
	stepHelp = "Width of the buckets: lengths such as 10s, 5m, 1h, or milliseconds, at least 1s; calendar steps 1d, 1w, 1mo, 1y, whose days begin where tz says; left out: raw readings"
	aggHelp  = "With step: avg min max sum count first last p50 p95 rate twa states, repeated or with commas; default avg,min,max,count. Null where it means nothing, such as the average of texts"
	zoneHelp = "Time zone of the buckets, by its IANA name such as Europe/Paris; default UTC"
	fillHelp = "With step, what stands for buckets without readings: none (they are left out, the default), null, previous, linear"
)

func param(op *huma.Operation, name string, schema *huma.Schema, what string) {
	op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "query", Schema: schema, Description: what})
}

func historyParams(op *huma.Operation) {
	text, whole := &huma.Schema{Type: huma.TypeString}, &huma.Schema{Type: huma.TypeInteger}
	list := &huma.Schema{Type: huma.TypeArray, Items: text}
	op.Description = "A range that ended a minute ago or earlier, given by absolute times, has an ETag: If-None-Match answers 304 until a reading in or before the range changes."
	param(op, "metric", list, "Repeated: several metrics; left out: all of them")
	param(op, "from", text, timeHelp+"; default -24h")
	param(op, "to", text, "As from, and not included; default now")
	param(op, "step", text, stepHelp)
	param(op, "agg", list, aggHelp)
	param(op, "tz", text, zoneHelp)
	param(op, "fill", text, fillHelp)
	param(op, "points", whole, "Without step: about so many readings per series (2 to 20000), which keep minima and maxima")
	param(op, "limit", whole, "Largest number of readings or buckets per series; more says that there are more")
	formatParam(op)
}

func formatParam(op *huma.Operation) {
	names := make([]any, 0, 4)
	for _, f := range append([]table.Format{"json"}, table.Formats()...) {
		names = append(names, string(f))
	}
	param(op, "format", &huma.Schema{Type: huma.TypeString, Enum: names}, "Instead of the Accept header; csv, ndjson and parquet have a row per time, and no bound on raw readings but that on what is read")
}

// tables documents the other formats of the answer.
func tables(op *huma.Operation) {
	content := op.Responses["200"].Content
	for _, f := range table.Formats() {
		media, _, _ := strings.Cut(f.ContentType(), ";")
		content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
}

// known refuses parameters that are not among names.
func known(v url.Values, names []string) error {
	for name := range v {
		if !slices.Contains(names, name) {
			return trefoil.Errorf(trefoil.CodeInvalid, "query.%s: no such parameter; allowed are %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}

func historyNames() []string {
	return []string{"metric", "from", "to", "step", "agg", "tz", "fill", "points", "limit", "format"}
}

// asked is what somebody asks of the history, as it was written.
type asked struct {
	place              string // "query" or "body"
	from, to, step     string
	zone, fill, format string
	agg, metrics       []string
	points, limit      int
}

// historyQuery reads the parameters of the URL; an error names the parameter.
func historyQuery(v url.Values, now time.Time) (q history.Query, a asked, err error) {
	if err := known(v, historyNames()); err != nil {
		return q, a, err
	}
	a = asked{
		place: "query", from: v.Get("from"), to: v.Get("to"), step: v.Get("step"), zone: v.Get("tz"), fill: v.Get("fill"),
		format: v.Get("format"), agg: v["agg"], metrics: v["metric"],
	}
	if a.points, err = wholeNumber(v, "points"); err != nil {
		return q, a, err
	}
	if a.limit, err = wholeNumber(v, "limit"); err != nil {
		return q, a, err
	}
	q, err = a.query(now)
	return q, a, err
}

// query turns the texts into what they mean.
func (a asked) query(now time.Time) (q history.Query, err error) {
	q.Metrics, q.Points, q.Limit, q.Now = a.metrics, a.points, a.limit, trefoil.InstantOf(now)
	if q.From, err = history.ParseTime(cmp.Or(a.from, "-24h"), now); err != nil {
		return q, a.in("from", err)
	}
	if q.To, err = history.ParseTime(cmp.Or(a.to, "now"), now); err != nil {
		return q, a.in("to", err)
	}
	if a.step != "" {
		if q.Step, err = history.ParseStep(a.step); err != nil {
			return q, a.in("step", err)
		}
	}
	if q.Aggregates, err = history.ParseAggregates(a.agg); err != nil {
		return q, a.in("agg", err)
	}
	if q.Zone, err = history.ParseZone(a.zone); err != nil {
		return q, a.in("tz", err)
	}
	if q.Fill, err = history.ParseFill(a.fill); err != nil {
		return q, a.in("fill", err)
	}
	if a.format != "" && a.format != "json" && !slices.Contains(table.Formats(), table.Format(a.format)) {
		return q, a.in("format", trefoil.Errorf(trefoil.CodeInvalid, "%q; allowed are json, csv, ndjson, parquet", a.format))
	}
	return q, nil
}

func (a asked) in(name string, err error) error {
	return trefoil.Errorf(trefoil.CodeInvalid, "%s.%s: %w", a.place, name, err)
}

// tableFormat is the format of rows that was asked for, or "" for JSON.
func (a asked) tableFormat(accept string) table.Format {
	switch a.format {
	case "":
		return table.Accepted(accept)
	case "json":
		return ""
	default:
		return table.Format(a.format)
	}
}

// absolute reports whether the range means the same whenever it is asked for.
func (a asked) absolute() bool {
	fixed := func(s string) bool { return s != "" && s != "now" && s[0] != '-' && s[0] != '+' }
	return fixed(a.from) && fixed(a.to)
}

// wholeNumber reads a number above zero; 0 stands for none given.
func wholeNumber(v url.Values, name string) (int, error) {
	text := v.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return 0, trefoil.Errorf(trefoil.CodeInvalid, "query.%s: %q; allowed are whole numbers above 0", name, text)
	}
	return n, nil
}
