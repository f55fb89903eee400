// Package telemetry is what Trefoil tells about itself: Prometheus metrics
// and the figures of the server page. Logs are log/slog and need no package.
package telemetry

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/trefoil-iot/trefoil"
)

// Metrics are the measurements of one process, in a registry of their own.
// Labels have a bounded set of values; a device id is never one.
type Metrics struct {
	registry *prometheus.Registry

	commits  prometheus.Histogram
	batch    prometheus.Histogram
	failed   prometheus.Counter
	stored   prometheus.Counter
	readings prometheus.Counter
	dropped  *prometheus.CounterVec

	total   totals
	latency window
}

// totals are the same counts for the server page, since the start.
type totals struct{ stored, readings, dropped atomic.Int64 }

// New makes the metrics. version is the label of trefoil_build_info.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trefoil_commit_seconds", Help: "Time from the beginning of a commit until it is on the disk.",
			Buckets: prometheus.ExponentialBuckets(0.00025, 2, 14),
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "trefoil_commit_messages", Help: "Messages in one commit.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 8),
		}),
		failed:   counter("trefoil_commit_failures_total", "Commits that failed and were tried again."),
		stored:   counter("trefoil_messages_stored_total", "Messages whose readings are on the disk."),
		readings: counter("trefoil_readings_stored_total", "Readings that are on the disk."),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "trefoil_messages_dropped_total", Help: "Messages that were received and not stored, by reason.",
		}, []string{"reason"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "trefoil_build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	for _, reason := range trefoil.DropReasons() {
		m.dropped.WithLabelValues(string(reason))
	}
	m.registry.MustRegister(build, m.commits, m.batch, m.failed, m.stored, m.readings, m.dropped,
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "trefoil_messages_received_total", Help: "Messages received whose fate is known: stored or dropped.",
		}, func() float64 { return float64(m.total.stored.Load() + m.total.dropped.Load()) }),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

// Gauge registers a value that is asked for when somebody looks.
func (m *Metrics) Gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Counter registers a growing value that is asked for when somebody looks.
func (m *Metrics) Counter(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// Handler serves the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// Committed notes a commit; the commit loop calls it.
func (m *Metrics) Committed(took time.Duration, messages, readings int) {
	m.commits.Observe(took.Seconds())
	m.latency.add(took)
	if messages == 0 {
		return
	}
	m.batch.Observe(float64(messages))
	m.stored.Add(float64(messages))
	m.readings.Add(float64(readings))
	m.total.stored.Add(int64(messages))
	m.total.readings.Add(int64(readings))
}

// CommitFailed notes a commit that is tried again.
func (m *Metrics) CommitFailed() { m.failed.Inc() }

// Dropped notes messages of the ledger.
func (m *Metrics) Dropped(reason trefoil.DropReason, messages int64) {
	m.dropped.WithLabelValues(string(reason)).Add(float64(messages))
	if reason.Dropped() {
		m.total.dropped.Add(messages)
	}
}
