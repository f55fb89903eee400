package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// System tells about the process itself.
type System interface {
	// Ready is nil when everything that is sent can be stored, and otherwise
	// says why not, for people.
	Ready() error
	Info(ctx context.Context) (Info, error)
	Stats() Stats
}

// Info is what does not change from second to second.
type Info struct {
	Version string    `json:"version"`
	Commit  string    `json:"commit" doc:"Of the source"`
	Started time.Time `json:"started"`
	Store   StoreInfo `json:"store"`
	MQTT    Address   `json:"mqtt"`
	MQTTS   *Address  `json:"mqtts,omitempty" doc:"MQTT over TLS; left out where there is none"`
	HTTP    Address   `json:"http"`
	Ready   bool      `json:"ready"`
	Reason  string    `json:"reason" doc:"Why it is not ready, or empty"`
}

// StoreInfo tells about the database.
type StoreInfo struct {
	Engine   string `json:"engine" example:"sqlite"`
	Bytes    int64  `json:"bytes" doc:"On disk, everything included"`
	Series   int64  `json:"series"`
	Readings int64  `json:"readings" doc:"Stored now; an estimate where counting is dear"`
}

// Address is where a protocol is served.
type Address struct {
	Address string `json:"address" example:"0.0.0.0:1883"`
	Port    int    `json:"port"`
}

// Stats is what the server is doing now. Counts are since the start.
type Stats struct {
	Messages    MessageStats `json:"messages"`
	Readings    ReadingStats `json:"readings"`
	Rates       RateStats    `json:"rates"`
	Connections int          `json:"connections" doc:"MQTT"`
	Devices     DeviceStats  `json:"devices"`
	Queue       QueueStats   `json:"queue" doc:"Ingest queue"`
	Commit      CommitStats  `json:"commit"`
	Viewers     int          `json:"viewers" doc:"Live connections"`
}

// MessageStats counts messages; received is stored and dropped together.
type MessageStats struct {
	Received int64 `json:"received"`
	Stored   int64 `json:"stored"`
	Dropped  int64 `json:"dropped"`
}

// ReadingStats counts readings.
type ReadingStats struct {
	Stored int64 `json:"stored"`
}

// RateStats are means over the last seconds.
type RateStats struct {
	MessagesPerSecond float64 `json:"messagesPerSecond"`
	ReadingsPerSecond float64 `json:"readingsPerSecond"`
}

// DeviceStats counts devices.
type DeviceStats struct {
	Total  int `json:"total"`
	Online int `json:"online"`
}

// QueueStats is the filling of a bounded queue.
type QueueStats struct {
	Depth    int `json:"depth"`
	Capacity int `json:"capacity"`
}

// CommitStats is how long commits take, and the number of the last one.
type CommitStats struct {
	P50ms float64     `json:"p50ms"`
	P99ms float64     `json:"p99ms"`
	Seq   trefoil.Seq `json:"seq"`
}

type infoOutput struct{ Body Info }

func (s *server) info(ctx context.Context, _ *struct{}) (*infoOutput, error) {
	info, err := s.System.Info(ctx)
	if err != nil {
		return nil, err
	}
	info.Ready = true
	if err := s.System.Ready(); err != nil {
		info.Ready, info.Reason = false, publicText(err)
	}
	return &infoOutput{Body: info}, nil
}

type statsOutput struct{ Body Stats }

func (s *server) stats(context.Context, *struct{}) (*statsOutput, error) {
	return &statsOutput{Body: s.System.Stats()}, nil
}

// healthz says that the process lives and answers.
func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n")) // the client is gone if this fails
}

// readyz says whether what is sent now can be stored.
func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	answer := struct {
		Ready  bool   `json:"ready"`
		Reason string `json:"reason,omitempty"`
	}{Ready: true}
	status := http.StatusOK
	if err := s.System.Ready(); err != nil {
		answer.Ready, answer.Reason, status = false, publicText(err), http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client is gone if this fails
}

// publicText gives the sentence of an error that the caller may see. Why the
// server is not ready is what an operator has to know, so the cause is in it.
func publicText(err error) string {
	if e, ok := errors.AsType[*trefoil.Error](err); ok && e.Cause == nil {
		return e.Message
	}
	return err.Error()
}
