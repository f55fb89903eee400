package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trefoil-iot/trefoil"
)

// History answers questions about the past.
type History interface {
	Query(ctx context.Context) error
}

// historyDoc documents the answer; appendHistory writes it.
type historyDoc struct {
	From   trefoil.Instant `json:"from"`
	To     trefoil.Instant `json:"to"`
	Step   *float64        `json:"step,omitempty" doc:"Length of a bucket in milliseconds; left out for raw readings"`
	Series []seriesDoc     `json:"series" nullable:"false" doc:"In the order of the metrics in the request, or by name"`
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
	param("agg", list, "With step: avg min max sum count first last, repeated or with commas; default avg,min,max,count")
	param("points", &huma.Schema{Type: huma.TypeInteger}, "About so many readings per series (2 to 20000), which keep minima and maxima")
	param("limit", &huma.Schema{Type: huma.TypeInteger}, "Largest number of readings per series")
}

func (s *server) history(w http.ResponseWriter, r *http.Request) error {
	return s.History.Query(r.Context())
}
