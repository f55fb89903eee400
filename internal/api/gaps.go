package api

import (
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
)

type gapsDoc struct {
	From   trefoil.Instant `json:"from"`
	To     trefoil.Instant `json:"to"`
	Factor float64         `json:"factor"`
	Series []seriesGapsDoc `json:"series" nullable:"false"`
}

type seriesGapsDoc struct {
	Metric   string   `json:"metric"`
	Readings int      `json:"readings" doc:"In the range"`
	Cadence  *float64 `json:"cadence,omitempty" doc:"Milliseconds between readings: the median, or the one that was given; left out where there are too few readings to tell, and there are no gaps then"`
	Missing  int64    `json:"missing" doc:"Readings that the gaps would have had"`
	Time     float64  `json:"time" doc:"Milliseconds of all gaps"`
	Gaps     []gapDoc `json:"gaps" nullable:"false" doc:"By time"`
	More     bool     `json:"more,omitempty" doc:"These are only the longest gaps"`
}

type gapDoc struct {
	From    trefoil.Instant `json:"from" doc:"Time of the reading before, or beginning of the range"`
	To      trefoil.Instant `json:"to" doc:"Time of the reading after, or end of the range, or now"`
	Missing int64           `json:"missing"`
}

func gapParams(op *huma.Operation) {
	text := &huma.Schema{Type: huma.TypeString}
	op.Description = "Where readings are further apart than factor times the cadence there is a gap. What is sent only when it changes has no cadence, and its gaps mean nothing."
	param(op, "metric", &huma.Schema{Type: huma.TypeArray, Items: text}, "Repeated: several metrics; left out: all of them")
	param(op, "from", text, timeHelp+"; default -24h")
	param(op, "to", text, "As from, and not included; default now")
	param(op, "factor", &huma.Schema{Type: huma.TypeNumber}, "How many times the cadence is a gap, 1.1 to 1000; default 3")
	param(op, "cadence", text, "How often readings should come, such as 10s; left out: as often as they mostly did")
}

func (s *server) gaps(w http.ResponseWriter, r *http.Request) error {
	d, err := s.deviceIn(r)
	if err != nil {
		return err
	}
	v := r.URL.Query()
	if err := known(v, []string{"metric", "from", "to", "factor", "cadence"}); err != nil {
		return err
	}
	a := asked{place: "query", from: v.Get("from"), to: v.Get("to"), metrics: v["metric"]}
	q, err := a.query(s.Now())
	if err != nil {
		return err
	}
	g := history.GapQuery{Device: d.ID, Metrics: q.Metrics, From: q.From, To: q.To, Now: q.Now, Factor: history.DefaultFactor}
	if text := v.Get("factor"); text != "" {
		if g.Factor, err = strconv.ParseFloat(text, 64); err != nil {
			return a.in("factor", trefoil.Errorf(trefoil.CodeInvalid, "%q; allowed are numbers from %v to %v", text, history.MinFactor, history.MaxFactor))
		}
	}
	if text := v.Get("cadence"); text != "" {
		if g.Cadence, err = history.ParseDuration(text); err != nil {
			return a.in("cadence", err)
		}
	}
	all, err := s.History.Gaps(r.Context(), g)
	if err != nil {
		return tooMuch(err)
	}
	doc := gapsDoc{From: g.From, To: g.To, Factor: g.Factor, Series: make([]seriesGapsDoc, len(all))}
	for i, x := range all {
		doc.Series[i] = gapsOf(x)
	}
	return writeDocument(w, doc)
}

func gapsOf(x history.Gaps) seriesGapsDoc {
	doc := seriesGapsDoc{
		Metric: x.Metric, Readings: x.Readings, Missing: x.Missing, Time: float64(x.Time.Microseconds()) / 1000,
		Gaps: make([]gapDoc, len(x.Gaps)), More: x.More,
	}
	if x.Cadence > 0 {
		ms := float64(x.Cadence.Microseconds()) / 1000
		doc.Cadence = &ms
	}
	for i, g := range x.Gaps {
		doc.Gaps[i] = gapDoc(g)
	}
	return doc
}
