package transfer

import (
	"testing"
	"time"
)

// BenchmarkMove moves nine series with 12 readings in 10 to the other engine
// and says how many readings it moves and compares in a second.
func BenchmarkMove(b *testing.B) {
	dir := plant(b, 1_000_000)
	var moved int64
	var copying, comparing time.Duration
	for b.Loop() {
		s, err := move(b, b.Context(), dir, cluster.Database(b), nil)
		if err != nil {
			b.Fatal(err)
		}
		moved, copying, comparing = moved+s.Readings, copying+s.CopyTime, comparing+s.CompareTime
	}
	b.ReportMetric(float64(moved)/copying.Seconds(), "copied/s")
	b.ReportMetric(float64(moved)/comparing.Seconds(), "compared/s")
}
