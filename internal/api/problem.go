package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/auth"
)

// problem is an RFC 9457 problem document.
type problem struct {
	Type   string        `json:"type" doc:"Always about:blank; code tells the kind"`
	Title  string        `json:"title" doc:"Text of the status"`
	Status int           `json:"status"`
	Detail string        `json:"detail" doc:"What went wrong, for people"`
	Code   trefoil.Code  `json:"code" doc:"What went wrong, for programs; stable"`
	Errors []problemItem `json:"errors,omitempty" nullable:"false" doc:"Single faults of the request"`

	headers http.Header
}

// problemItem is one fault of a request.
type problemItem struct {
	Location string `json:"location,omitempty" doc:"Such as body.tags or query.limit"`
	Message  string `json:"message"`
	Value    any    `json:"value,omitempty" doc:"What was there"`
}

func (p *problem) Error() string             { return p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) GetHeaders() http.Header   { return p.headers }
func (p *problem) ContentType(string) string { return problemType }

const problemType = "application/problem+json"

// statusOf is the table from codes to statuses of HTTP.
func statusOf(c trefoil.Code) int {
	switch c {
	case trefoil.CodeInvalid:
		return http.StatusUnprocessableEntity
	case trefoil.CodeUnauthorized:
		return http.StatusUnauthorized
	case trefoil.CodeForbidden:
		return http.StatusForbidden
	case trefoil.CodeNotFound:
		return http.StatusNotFound
	case trefoil.CodeConflict:
		return http.StatusConflict
	case trefoil.CodePrecondition:
		return http.StatusPreconditionFailed
	case trefoil.CodeTooLarge:
		return http.StatusRequestEntityTooLarge
	case trefoil.CodeTooMany:
		return http.StatusTooManyRequests
	case trefoil.CodeUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

// codeOf is the way back, for refusals that have a status only.
func codeOf(status int) trefoil.Code {
	switch status {
	case http.StatusUnauthorized:
		return trefoil.CodeUnauthorized
	case http.StatusForbidden:
		return trefoil.CodeForbidden
	case http.StatusNotFound:
		return trefoil.CodeNotFound
	case http.StatusRequestEntityTooLarge:
		return trefoil.CodeTooLarge
	}
	if status >= 500 {
		return trefoil.CodeInternal
	}
	return trefoil.CodeInvalid
}

func newProblem(status int, code trefoil.Code, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Code: code}
}

// refusal is an error whose status is not the one of its code.
type refusal struct {
	status int
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// problemOf turns an error into what the client sees. The cause of an
// internal error stays in the log.
func (s *server) problemOf(ctx context.Context, err error) *problem {
	if p, ok := errors.AsType[*problem](err); ok {
		return p
	}
	code, detail := trefoil.CodeOf(err), ""
	known, ok := errors.AsType[*trefoil.Error](err)
	switch {
	case ok && code != trefoil.CodeInternal:
		detail = known.Message
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		code, detail = trefoil.CodeUnavailable, "not done in time; try again"
	default:
		code, detail = trefoil.CodeInternal, "internal error; the server's log has the cause under request id "+requestID(ctx)
		s.Log.Error("request failed", slog.String("request", requestID(ctx)), slog.Any("error", err))
	}
	p := newProblem(statusOf(code), code, detail)
	if r, ok := errors.AsType[*refusal](err); ok {
		p.Status, p.Title = r.status, http.StatusText(r.status)
	}
	p.headers = headersFor(p.Status, err)
	return p
}

// headersFor gives Retry-After to those who should try again, and the ways to
// log in to those who did not.
func headersFor(status int, err error) http.Header {
	switch status {
	case http.StatusTooManyRequests:
		wait := 1
		if t, ok := errors.AsType[*auth.TooManyLogins](err); ok {
			wait = int(math.Ceil(t.Wait.Seconds()))
		}
		return http.Header{"Retry-After": {strconv.Itoa(wait)}}
	case http.StatusServiceUnavailable:
		return http.Header{"Retry-After": {"5"}}
	case http.StatusUnauthorized:
		return http.Header{"Www-Authenticate": {`Bearer realm="trefoil"`}}
	default:
		return nil
	}
}

// fail answers with the problem of err.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	writeProblem(w, s.problemOf(r.Context(), err))
}

func writeProblem(w http.ResponseWriter, p *problem) {
	for k, v := range p.headers {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client is gone if this fails
}

// maxEcho bounds a value that is sent back in a problem.
const maxEcho = 200

// ownProblems turns the errors that huma makes into ours.
func ownProblems(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := newProblem(m.Status, codeOf(m.Status), m.Detail)
	for _, e := range m.Errors {
		if e == nil {
			continue
		}
		p.Errors = append(p.Errors, problemItem{Location: e.Location, Message: e.Message, Value: echo(e)})
	}
	if m.Detail == "validation failed" && len(p.Errors) > 0 {
		first := p.Errors[0]
		p.Detail = fmt.Sprintf("%s: %s", first.Location, first.Message)
	}
	return p, nil
}

// echo leaves out values that are long or may be secret.
func echo(e *huma.ErrorDetail) any {
	switch v := e.Value.(type) {
	case string:
		if len(v) <= maxEcho && utf8.ValidString(v) && e.Location != "body" && e.Location != "body.password" {
			return v
		}
		return nil
	case bool, float64, int, int64:
		return v
	default:
		return nil
	}
}
