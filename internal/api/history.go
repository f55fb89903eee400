package api

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/registry"
)

// History answers questions about the past.
type History interface {
	Query(ctx context.Context, q history.Query) (history.Answer, error)
}

// historyDoc documents the answer; appendHistory writes it.
type historyDoc struct {
	From   trefoil.Instant `json:"from"`
	To     trefoil.Instant `json:"to"`
	Step   *float64        `json:"step,omitempty" doc:"Length of a bucket in milliseconds; left out for raw readings"`
	Series []seriesDoc     `json:"series" nullable:"false" doc:"In the order of the metrics in the request, or by name; a metric that was never sent is not found"`
}

type seriesDoc struct {
	Metric string            `json:"metric"`
	Unit   string            `json:"unit" doc:"From the profile of the device, or empty"`
	T      []trefoil.Instant `json:"t" nullable:"false" doc:"Times of the readings, or starts of the buckets, ascending"`
	V      []trefoil.Value   `json:"v,omitempty" nullable:"false" doc:"Values; without step only"`
	Avg    []*float64        `json:"avg,omitempty" nullable:"false" doc:"With step, if asked for, as are all that follow"`
	Min    []*float64        `json:"min,omitempty" nullable:"false"`
	Max    []*float64        `json:"max,omitempty" nullable:"false"`
	Sum    []*float64        `json:"sum,omitempty" nullable:"false"`
	Count  []int64           `json:"count,omitempty" nullable:"false"`
	First  []trefoil.Value   `json:"first,omitempty" nullable:"false"`
	Last   []trefoil.Value   `json:"last,omitempty" nullable:"false"`
	More   bool              `json:"more,omitempty" doc:"The limit ended the series before its end"`
}

func historyParams(op *huma.Operation) {
	text := &huma.Schema{Type: huma.TypeString}
	list := &huma.Schema{Type: huma.TypeArray, Items: text}
	param := func(name string, schema *huma.Schema, what string) {
		op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "query", Schema: schema, Description: what})
	}
	param("metric", list, "Repeated: several metrics; left out: all of them")
	param("from", text, "RFC 3339, Unix milliseconds, now, or relative such as -24h (units s m h d w); default -24h")
	param("to", text, "As from, and not included; default now")
	param("step", text, "Length of the buckets: 10s, 5m, 1h, or milliseconds, at least 1s; left out: raw readings")
	param("agg", list, "With step: avg min max sum count first last, repeated or with commas; default avg,min,max,count. Null where it means nothing, such as the average of texts")
	param("points", &huma.Schema{Type: huma.TypeInteger}, "Without step: about so many readings per series (2 to 20000), which keep minima and maxima")
	param("limit", &huma.Schema{Type: huma.TypeInteger}, "Largest number of readings or buckets per series; more says that there are more")
}

func (s *server) history(w http.ResponseWriter, r *http.Request) error {
	d, err := s.Devices.Find(trefoil.DeviceID(r.PathValue("id")))
	if err != nil {
		return err
	}
	q, err := historyQuery(r.URL.Query(), s.Now())
	if err != nil {
		return err
	}
	q.Device = d.ID
	a, err := s.History.Query(r.Context(), q)
	if trefoil.CodeOf(err) == trefoil.CodeTooMany { // trying again will not help
		return &refusal{http.StatusUnprocessableEntity, err}
	}
	if err != nil {
		return err
	}
	writeJSON(w, appendHistory(nil, a, s.profileOf(d)))
	return nil
}

// historyQuery reads the parameters of the URL; an error names the parameter.
func historyQuery(v url.Values, now time.Time) (q history.Query, err error) {
	for name := range v {
		if !slices.Contains(historyNames(), name) {
			return q, trefoil.Errorf(trefoil.CodeInvalid, "query.%s: no such parameter; allowed are %s", name, strings.Join(historyNames(), ", "))
		}
	}
	q.Metrics = v["metric"]
	if q.From, err = history.ParseTime(cmp.Or(v.Get("from"), "-24h"), now); err != nil {
		return q, inParameter("from", err)
	}
	if q.To, err = history.ParseTime(cmp.Or(v.Get("to"), "now"), now); err != nil {
		return q, inParameter("to", err)
	}
	if step := v.Get("step"); step != "" {
		if q.Step, err = history.ParseStep(step); err != nil {
			return q, inParameter("step", err)
		}
	}
	if q.Aggregates, err = history.ParseAggregates(v["agg"]); err != nil {
		return q, inParameter("agg", err)
	}
	if q.Points, err = wholeNumber(v, "points"); err != nil {
		return q, err
	}
	q.Limit, err = wholeNumber(v, "limit")
	return q, err
}

func historyNames() []string {
	return []string{"metric", "from", "to", "step", "agg", "points", "limit"}
}

func inParameter(name string, err error) error {
	return trefoil.Errorf(trefoil.CodeInvalid, "query.%s: %w", name, err)
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

// appendHistory writes the answer column by column, without reflection: it
// may have hundreds of thousands of values.
func appendHistory(b []byte, a history.Answer, p registry.Profile) []byte {
	b = append(b, `{"from":`...)
	b = a.From.AppendMillis(b)
	b = append(b, `,"to":`...)
	b = a.To.AppendMillis(b)
	if a.Step > 0 {
		b = append(b, `,"step":`...)
		b = strconv.AppendInt(b, a.Step.Milliseconds(), 10)
	}
	b = append(b, `,"series":[`...)
	for i, s := range a.Series {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendSeries(b, s, p.Metrics[s.Metric].Unit)
	}
	return append(b, "]}\n"...)
}

func appendSeries(b []byte, s history.Series, unit string) []byte {
	b = slices.Grow(b, 20*len(s.T)*(1+len(s.Columns)))
	b = append(b, `{"metric":`...)
	b = trefoil.TextValue(s.Metric).AppendJSON(b)
	b = append(b, `,"unit":`...)
	b = trefoil.TextValue(unit).AppendJSON(b)
	b = append(b, `,"t":[`...)
	for i, t := range s.T {
		if i > 0 {
			b = append(b, ',')
		}
		b = t.AppendMillis(b)
	}
	b = append(b, ']')
	if s.V != nil {
		b = appendColumn(b, "v", s.V)
	}
	for _, c := range s.Columns {
		b = appendColumn(b, string(c.Aggregate), c.V)
	}
	if s.More {
		b = append(b, `,"more":true`...)
	}
	return append(b, '}')
}

func appendColumn(b []byte, name string, values []trefoil.Value) []byte {
	b = append(b, `,"`...)
	b = append(b, name...)
	b = append(b, `":[`...)
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = v.AppendJSON(b)
	}
	return append(b, ']')
}
