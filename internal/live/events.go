package live

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/trefoil-iot/trefoil"
)

// quietFor is how long an event stream may be silent; then a comment is sent,
// so that proxies keep it and a lost viewer is noticed.
const quietFor = 20 * time.Second

// Events serves one subscription as server-sent events, for networks in which
// WebSocket does not work: GET with device, tag and metric (each may be
// repeated; without device and tag: all devices), since and maxRate. Events
// have the name of the frame's op, its JSON as data, and as id the number of
// the commit, so that a browser resumes by itself with Last-Event-ID.
func (h *Hub) Events(g Gate) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, err := g.Admit(r)
		if err != nil {
			g.Refuse(w, r, err)
			return
		}
		v, err := h.Open(who)
		if err != nil {
			g.Refuse(w, r, err)
			return
		}
		defer v.Close()
		request, err := eventRequest(r.URL.Query(), r.Header.Get("Last-Event-ID"))
		if err == nil {
			err = v.Subscribe(request)
		}
		if err != nil {
			g.Refuse(w, r, err)
			return
		}
		serveEvents(r.Context(), v, w)
	})
}

func eventRequest(q url.Values, last string) (Request, error) {
	r := Request{ID: "events", Devices: q["device"], Tags: q["tag"], Metrics: q["metric"]}
	if len(r.Devices) == 0 && len(r.Tags) == 0 {
		r.Devices = []string{"*"}
	}
	if last == "" {
		last = q.Get("since")
	}
	if last != "" {
		seq, err := strconv.ParseUint(last, 10, 64)
		if err != nil {
			return r, trefoil.Errorf(trefoil.CodeInvalid, "since (or Last-Event-ID) %.40q is not the number of a commit", last)
		}
		r.Since = new(trefoil.Seq(seq))
	}
	if rate := q.Get("maxRate"); rate != "" {
		f, err := strconv.ParseFloat(rate, 64)
		if err != nil {
			return r, trefoil.Errorf(trefoil.CodeInvalid, "maxRate %.40q is not a number of frames per second", rate)
		}
		r.MaxRate = f
	}
	return r, nil
}

func serveEvents(ctx context.Context, v *Viewer, w http.ResponseWriter) {
	head := w.Header()
	head.Set("Content-Type", "text/event-stream")
	head.Set("Cache-Control", "no-cache")
	head.Set("X-Accel-Buffering", "no") // nginx would hold the events back
	out := http.NewResponseController(w)
	var buf bytes.Buffer
	buf.WriteString("retry: 2000\n\n")
	for {
		limit := writeWithin + time.Duration(buf.Len()/slowestWrite)*time.Second
		if out.SetWriteDeadline(time.Now().Add(limit)) != nil {
			return
		}
		if _, err := w.Write(buf.Bytes()); err != nil || out.Flush() != nil {
			return
		}
		f, err := nextEvent(ctx, v)
		if err != nil {
			return // the browser comes back after the time of retry
		}
		buf.Reset()
		writeEvent(&buf, f)
	}
}

// nextEvent gives the next frame; after a time of silence the frame is empty.
func nextEvent(ctx context.Context, v *Viewer) (Frame, error) {
	quiet, cancel := context.WithTimeout(ctx, quietFor)
	defer cancel()
	f, err := v.Next(quiet)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		v.Progress()
		return Frame{}, nil
	}
	return f, err
}

func writeEvent(b *bytes.Buffer, f Frame) {
	if f.Op == "" {
		b.WriteString(":\n\n")
		return
	}
	b.WriteString("event: " + f.Op + "\n")
	if f.Seq != 0 && f.sub != nil && f.Op != "reset" { // after hello or reset alone there is nothing to resume from
		b.WriteString("id: " + strconv.FormatUint(uint64(f.Seq), 10) + "\n")
	}
	b.WriteString("data: ")
	b.Write(f.Data) // JSON of this package has no line breaks
	b.WriteString("\n\n")
}
