package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/history/table"
	"github.com/trefoil-iot/trefoil/internal/registry"
)

// History answers questions about the past.
type History interface {
	Stream(ctx context.Context, q history.Query, emit func(history.Series) error) error
	Beginnings(ctx context.Context, q history.Query) ([]history.Beginning, error)
	Gaps(ctx context.Context, q history.GapQuery) ([]history.Gaps, error)
}

// historyDoc documents the answer; historyJSON writes it.
type historyDoc struct {
	From   trefoil.Instant `json:"from"`
	To     trefoil.Instant `json:"to"`
	Step   *float64        `json:"step,omitempty" doc:"Length of a bucket in milliseconds, the mean one of calendar steps; left out for raw readings"`
	TZ     string          `json:"tz,omitempty" doc:"Time zone of the buckets, if it is not UTC"`
	Series []seriesDoc     `json:"series" nullable:"false" doc:"In the order of the metrics in the request, or by name; a metric that was never sent is not found"`
}

type seriesDoc struct {
	Device  string               `json:"device,omitempty" doc:"In answers about many devices"`
	Group   *string              `json:"group,omitempty" doc:"In answers with groups: the value of the tag, empty for devices without it"`
	Devices int                  `json:"devices,omitempty" doc:"In answers with groups: devices that have the metric"`
	Metric  string               `json:"metric"`
	Unit    string               `json:"unit" doc:"From the profile of the device, or empty"`
	T       []trefoil.Instant    `json:"t" nullable:"false" doc:"Times of the readings, or starts of the buckets, ascending"`
	V       []trefoil.Value      `json:"v,omitempty" nullable:"false" doc:"Values; without step only"`
	Avg     []*float64           `json:"avg,omitempty" nullable:"false" doc:"With step, if asked for, as are all that follow"`
	Min     []*float64           `json:"min,omitempty" nullable:"false"`
	Max     []*float64           `json:"max,omitempty" nullable:"false"`
	Sum     []*float64           `json:"sum,omitempty" nullable:"false"`
	Count   []int64              `json:"count,omitempty" nullable:"false"`
	First   []trefoil.Value      `json:"first,omitempty" nullable:"false"`
	Last    []trefoil.Value      `json:"last,omitempty" nullable:"false"`
	P50     []*float64           `json:"p50,omitempty" nullable:"false" doc:"Median"`
	P95     []*float64           `json:"p95,omitempty" nullable:"false" doc:"95th percentile, as all exact"`
	Rate    []*float64           `json:"rate,omitempty" nullable:"false" doc:"Increase of a counter per second"`
	TWA     []*float64           `json:"twa,omitempty" nullable:"false" doc:"Time-weighted average"`
	States  []map[string]float64 `json:"states,omitempty" nullable:"false" doc:"Seconds per value of booleans and texts"`
	More    bool                 `json:"more,omitempty" doc:"The limit ended the series before its end"`
}

// rowPart is the number of readings that are written at a time as rows.
const rowPart = 2000

func (s *server) history(w http.ResponseWriter, r *http.Request) error {
	d, err := s.deviceIn(r)
	if err != nil {
		return err
	}
	q, a, err := historyQuery(r.URL.Query(), s.Now())
	if err != nil {
		return err
	}
	q.Devices = history.Of(d.ID)
	f := a.tableFormat(r.Header.Get("Accept"))
	fresh, err := s.cached(w, r, d, q, a, f)
	if err != nil {
		return tooMuch(err)
	}
	if fresh {
		return nil
	}
	units := s.profileOf(d)
	return s.answer(w, r, q, f, fileName(string(d.ID)), func(history.Series) registry.Profile { return units })
}

// answer streams the history in the format, with units from the profile of
// each series.
func (s *server) answer(w http.ResponseWriter, r *http.Request, q history.Query, f table.Format, name string, profile func(history.Series) registry.Profile) error {
	out := newStream(w)
	var err error
	if f == "" {
		w.Header().Set("Content-Type", "application/json")
		j := &historyJSON{out: out, query: q, many: r.PathValue("id") == ""}
		err = s.History.Stream(r.Context(), q, func(x history.Series) error { return j.append(x, profile(x).Metrics[x.Metric].Unit) })
		if err == nil {
			err = j.close()
		}
	} else {
		w.Header().Set("Content-Type", f.ContentType())
		w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", name+"."+string(f)))
		q.Part = rowPart
		t := table.NewWriter(f, out, shapeOf(q))
		err = s.History.Stream(r.Context(), q, func(x history.Series) error { return t.Append(x, profile(x).Metrics[x.Metric].Unit) })
		if err == nil {
			err = t.Close()
		}
	}
	return out.end(tooMuch(err))
}

func shapeOf(q history.Query) table.Shape {
	shape := table.Shape{Grouped: q.Grouped}
	if !q.Step.IsZero() {
		if shape.Aggregates = q.Aggregates; len(q.Aggregates) == 0 {
			shape.Aggregates = history.DefaultAggregates()
		}
	}
	return shape
}

func fileName(who string) string { return who + "-history" }

// tooMuch gives bounds of a query the status of what cannot be right: trying
// again will not help.
func tooMuch(err error) error {
	if trefoil.CodeOf(err) == trefoil.CodeTooMany {
		return &refusal{http.StatusUnprocessableEntity, err}
	}
	return err
}

// deviceIn finds the device that the path names. One that does not exist is
// answered with some that do.
func (s *server) deviceIn(r *http.Request) (trefoil.Device, error) {
	d, err := s.Devices.Find(trefoil.DeviceID(r.PathValue("id")))
	if trefoil.CodeOf(err) == trefoil.CodeNotFound {
		return d, s.noDevice(trefoil.DeviceID(r.PathValue("id")))
	}
	return d, err
}

func (s *server) noDevice(id trefoil.DeviceID) error {
	const most = 10
	page := s.Devices.List(registry.Query{Limit: most})
	if page.Total == 0 {
		return trefoil.Errorf(trefoil.CodeNotFound, "no device %q; there is none yet", id)
	}
	names := make([]string, len(page.Devices))
	for i, d := range page.Devices {
		names[i] = string(d.ID)
	}
	more := ""
	if page.Total > most {
		more = fmt.Sprintf(" and %d more, see /api/v1/devices", page.Total-most)
	}
	return trefoil.Errorf(trefoil.CodeNotFound, "no device %q; there are %s%s", id, strings.Join(names, ", "), more)
}
