package history_test

import (
	"testing"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
)

// What aggregates cost that need every reading: a day in 5 minutes, and a
// year in days of UTC and of a zone.
func BenchmarkAggregates(b *testing.B) {
	s, end := filled(b)
	h := history.New(s)
	for _, c := range []struct {
		name string
		days int
		step history.Step
		zone string
	}{{"day in 5 minutes", 1, history.Every(5 * 60e9), ""}, {"year in days", 365, history.Days(1), ""}, {"year in days of Paris", 365, history.Days(1), "Europe/Paris"}} {
		for _, a := range []history.Aggregate{history.Avg, history.P50, history.P95, history.Rate, history.TWA} {
			b.Run(c.name+"/"+string(a), func(b *testing.B) {
				q := history.Query{
					Devices: history.Of(device(0)), From: end - 86400*second*trefoil.Instant(c.days), To: end, Step: c.step, Zone: zone(b, c.zone),
					Aggregates: []history.Aggregate{a},
				}
				for b.Loop() {
					askOnce(b, s, h, q, 1)
				}
			})
		}
	}
}
