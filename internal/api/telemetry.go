package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/payload"
)

// Telemetry makes messages durable.
type Telemetry interface {
	// NewMessage gives an empty message. Put takes it back.
	NewMessage() *trefoil.Message

	// Put returns after the commit. [ingest.ErrFull] means that there is no
	// room now and nothing is noted anywhere; other errors with code too_many
	// mean that the store refuses the message, and are in the ledger.
	Put(ctx context.Context, m *trefoil.Message) (trefoil.Seq, error)

	// Accept hands over a write and waits while there is no room; its Done is
	// called exactly once.
	Accept(ctx context.Context, w ingest.Write)
}

// Payload decodes bodies.
type Payload interface {
	Decode(src payload.Source, body []byte, dst []trefoil.Reading) ([]trefoil.Reading, error)
}

type telemetryDoc struct {
	Accepted int         `json:"accepted" doc:"Readings that are stored"`
	Seq      trefoil.Seq `json:"seq" doc:"Number of the commit that holds them"`
}

const (
	// putTimeout bounds how long a post waits for its commit.
	putTimeout = 30 * time.Second
	// bodyTimeout bounds how long a body may take to arrive.
	bodyTimeout = 30 * time.Second
)

func telemetryBody(op *huma.Operation) {
	op.Description = "The body is what a device publishes by MQTT: an object of metrics with an optional ts, or an array of such objects. " +
		"All readings of a body are stored, or none is."
	values := &huma.Schema{
		Type: huma.TypeObject, AdditionalProperties: true,
		Properties: map[string]*huma.Schema{"ts": {
			Description: "Time of the readings: RFC 3339, or Unix seconds, milliseconds, microseconds or nanoseconds; the time of arrival if left out",
			OneOf:       []*huma.Schema{{Type: huma.TypeString}, {Type: huma.TypeNumber}},
		}},
	}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json": {
			Schema:  &huma.Schema{OneOf: []*huma.Schema{values, {Type: huma.TypeArray, Items: values}}},
			Example: map[string]any{"temperature": 21.5, "door": "open"},
		},
		"application/cbor":       {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		"application/senml+json": {Schema: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true}}},
		"application/senml+cbor": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
}

func (s *server) postTelemetry(w http.ResponseWriter, r *http.Request) error {
	d, err := s.Devices.Find(trefoil.DeviceID(r.PathValue("id")))
	if err != nil {
		return err
	}
	if err := s.ready(); err != nil {
		return err
	}
	body, err := s.readTelemetry(w, r, d.ID)
	if err != nil {
		return err
	}
	m := s.Telemetry.NewMessage()
	m.Device, m.Via, m.Received = d.ID, trefoil.ViaHTTP, trefoil.InstantOf(s.Now())
	src := payload.Source{ContentType: r.Header.Get("Content-Type"), Received: m.Received}
	if m.Readings, err = s.Payload.Decode(src, body, m.Readings); err != nil {
		s.drop(r, d.ID, reasonOf(err), err, body)
		return &refusal{http.StatusUnprocessableEntity, err}
	}
	accepted := len(m.Readings) // m is not ours after Put
	ctx, cancel := context.WithTimeout(r.Context(), putTimeout)
	defer cancel()
	seq, err := s.Telemetry.Put(ctx, m)
	switch {
	case errors.Is(err, ingest.ErrFull):
		s.drop(r, d.ID, trefoil.DropQueueFull, err, body)
		return err
	case trefoil.CodeOf(err) == trefoil.CodeTooMany: // trying again will not help
		return &refusal{http.StatusUnprocessableEntity, err}
	case err != nil:
		return err
	}
	b := append(make([]byte, 0, 48), `{"accepted":`...)
	b = strconv.AppendInt(b, int64(accepted), 10)
	b = append(b, `,"seq":`...)
	b = strconv.AppendUint(b, uint64(seq), 10)
	writeJSON(w, append(b, "}\n"...))
	return nil
}

func (s *server) readTelemetry(w http.ResponseWriter, r *http.Request, id trefoil.DeviceID) ([]byte, error) {
	// Not every writer can set a deadline; the server's own one holds then.
	// The deadline of a socket is by the real clock, whatever Now is.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.MaxTelemetryBody))
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if err == nil {
		return body, nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		err = trefoil.Errorf(trefoil.CodeTooLarge, "body is larger than %d bytes, the limit of one post; send several", s.MaxTelemetryBody)
		s.drop(r, id, trefoil.DropTooLarge, err, body)
		return nil, err
	}
	return nil, &refusal{http.StatusBadRequest, trefoil.Errorf(trefoil.CodeInvalid, "body ended before it was complete")}
}

func reasonOf(err error) trefoil.DropReason {
	if trefoil.CodeOf(err) == trefoil.CodeTooMany {
		return trefoil.DropTooLarge
	}
	return trefoil.DropMalformed
}

// drop enters into the ledger what is not stored.
func (s *server) drop(r *http.Request, id trefoil.DeviceID, reason trefoil.DropReason, err error, body []byte) {
	s.Ledger.Drop(trefoil.Drop{
		Device: id, Reason: reason, Time: trefoil.InstantOf(s.Now()), Count: 1,
		Topic: r.URL.Path, Detail: err.Error(), Sample: body[:min(len(body), trefoil.MaxSample)],
	})
}

// writeDocument writes a document of a route that huma does not write.
func writeDocument(w http.ResponseWriter, doc any) error {
	b, err := json.Marshal(doc)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	writeJSON(w, append(b, '\n'))
	return nil
}

func writeJSON(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // the client is gone if this fails
}
