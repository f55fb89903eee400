package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/valyala/fastjson"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/ingest"
	"github.com/trefoil-iot/trefoil/internal/payload"
)

// Bounds of an import.
const (
	maxImport       = 64 << 20 // bytes of one request
	maxImportLine   = 1 << 20  // bytes of a line
	maxImportErrors = 100      // that are told one by one
	importBatch     = 1000     // readings of a device that become one message
	importTimeout   = 5 * time.Minute
)

type importDoc struct {
	Lines   int              `json:"lines" doc:"That were read"`
	Stored  int              `json:"stored" doc:"Readings"`
	Refused int              `json:"refused" doc:"Lines of which nothing is stored"`
	Seq     trefoil.Seq      `json:"seq" doc:"Number of the last commit"`
	Stopped bool             `json:"stopped,omitempty" doc:"With strict: the line that is refused was the last one that was read"`
	Errors  []importErrorDoc `json:"errors" nullable:"false" doc:"The first of them"`
}

type importErrorDoc struct {
	Line    int    `json:"line" doc:"From 1; the first one where several are refused together"`
	Message string `json:"message"`
}

func importBody(op *huma.Operation) {
	op.Description = `Each line is an object {"device":"pump-7","ts":"2026-11-22T20:40:09Z","values":{"rpm":1450}}. ` +
		"Devices must exist. A line that cannot be stored is told in the answer and does not keep others from being stored. " +
		"The answer comes when everything else is durable. At most 64 MiB at a time."
	param(op, "strict", &huma.Schema{Type: huma.TypeBoolean}, "Read nothing after the first line that is refused")
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/x-ndjson": {Schema: &huma.Schema{Type: huma.TypeString}},
	}}
}

// importReadings stores readings of many devices.
func (s *server) importReadings(w http.ResponseWriter, r *http.Request) error {
	if err := s.ready(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), importTimeout)
	defer cancel()
	// A deadline of a socket is a time of the machine's clock. Not every
	// writer can set one; the end of ctx is noticed by the next write then.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(importTimeout))
	in := bufio.NewScanner(http.MaxBytesReader(w, r.Body, maxImport))
	in.Buffer(make([]byte, 0, 64<<10), maxImportLine)
	m := &importing{server: s, request: r, ctx: ctx, pending: make(map[trefoil.DeviceID]*batch)}
	strict := r.URL.Query().Get("strict") == "true"
	for in.Scan() && !m.doc.Stopped {
		m.doc.Lines++
		if err := m.line(in.Bytes()); err != nil {
			m.refuse(m.doc.Lines, 1, err)
			m.doc.Stopped = strict
		}
	}
	m.finish()
	if err := in.Err(); err != nil {
		return importFault(err, m.doc)
	}
	if m.fault != nil {
		return m.fault
	}
	if m.doc.Errors == nil {
		m.doc.Errors = []importErrorDoc{}
	}
	return writeDocument(w, m.doc)
}

// importFault says what was stored before the body ended too early.
func importFault(err error, doc importDoc) error {
	so := fmt.Sprintf("; %d readings of the lines before are stored", doc.Stored)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return trefoil.Errorf(trefoil.CodeTooLarge, "the body is larger than %d bytes, the limit of one import; send several%s", maxImport, so)
	}
	if errors.Is(err, bufio.ErrTooLong) {
		return trefoil.Errorf(trefoil.CodeTooLarge, "line %d is longer than %d bytes%s", doc.Lines+1, maxImportLine, so)
	}
	return &refusal{http.StatusBadRequest, trefoil.Errorf(trefoil.CodeInvalid, "the body ended before it was complete%s", so)}
}

// importing is one import on its way. Only doc and fault are shared with the
// commit loop.
type importing struct {
	server  *server
	request *http.Request
	ctx     context.Context // of this one request
	parser  fastjson.Parser
	body    []byte
	pending map[trefoil.DeviceID]*batch
	waiting sync.WaitGroup

	mu    sync.Mutex
	doc   importDoc
	fault error // that concerns everything, such as a server that stops
}

// batch gathers readings of a device for one message.
type batch struct {
	message *trefoil.Message
	first   int // line
	lines   int
}

// line takes the readings of one line.
func (m *importing) line(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	v, err := m.parser.ParseBytes(b)
	if err != nil || v.Type() != fastjson.TypeObject {
		return trefoil.Errorf(trefoil.CodeInvalid, `not a JSON object such as {"device":"a","ts":"2026-11-22T20:40:09Z","values":{"t":1}}`)
	}
	d, err := m.server.Devices.Find(trefoil.DeviceID(v.GetStringBytes("device")))
	if err != nil {
		return err
	}
	values := v.Get("values")
	if values == nil || values.Type() != fastjson.TypeObject {
		return trefoil.Errorf(trefoil.CodeInvalid, "there is no object values")
	}
	if ts := v.Get("ts"); ts != nil {
		values.Set("ts", ts)
	}
	m.body = values.MarshalTo(m.body[:0])
	p := m.pending[d.ID]
	if p == nil {
		p = &batch{message: m.server.Telemetry.NewMessage(), first: m.doc.Lines}
		p.message.Device, p.message.Via, p.message.Received = d.ID, trefoil.ViaHTTP, trefoil.InstantOf(m.server.Now())
		m.pending[d.ID] = p
	}
	src := payload.Source{ContentType: "application/json", Received: p.message.Received}
	if p.message.Readings, err = m.server.Payload.Decode(src, m.body, p.message.Readings); err != nil {
		m.server.drop(m.request, d.ID, reasonOf(err), err, b)
		return err
	}
	if p.lines++; len(p.message.Readings) >= importBatch {
		m.send(p)
		delete(m.pending, d.ID)
	}
	return nil
}

// send hands a message to the commit loop, and waits while that is full.
func (m *importing) send(p *batch) {
	id, n := p.message.Device, len(p.message.Readings)
	if n == 0 {
		return
	}
	m.waiting.Add(1)
	m.server.Telemetry.Accept(m.ctx, ingest.Write{Message: p.message, Done: func(seq trefoil.Seq, err error) {
		defer m.waiting.Done()
		switch trefoil.CodeOf(err) {
		case "":
			m.mu.Lock()
			defer m.mu.Unlock()
			m.doc.Stored += n
			m.doc.Seq = max(m.doc.Seq, seq)
		case trefoil.CodeTooMany, trefoil.CodeInvalid, trefoil.CodeNotFound:
			m.refuse(p.first, p.lines, fmt.Errorf("device %s, %d lines from here on: %w", id, p.lines, err))
		default:
			m.mu.Lock()
			defer m.mu.Unlock()
			m.fault = err
		}
	}})
}

// finish sends what is left and waits until everything is settled.
func (m *importing) finish() {
	for _, p := range m.pending {
		m.send(p)
	}
	m.waiting.Wait()
}

func (m *importing) refuse(line, lines int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.doc.Refused += lines
	if len(m.doc.Errors) < maxImportErrors {
		m.doc.Errors = append(m.doc.Errors, importErrorDoc{Line: line, Message: err.Error()})
	}
}
