package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/trefoil-iot/trefoil"
)

// route is one line of the list of routes.
type route struct {
	pattern string // method and path
	status  int    // when it went well
	access  access
	id      string // operationId
	summary string
}

// router has the routes and their documentation. It answers paths and methods
// that do not exist with problem documents.
type router struct {
	server *server
	mux    *http.ServeMux
	api    huma.API
	ui     http.Handler // what is not a route, or nil
}

func newRouter(s *server) *router {
	mux := http.NewServeMux()
	schemas := huma.NewMapRegistry("#/components/schemas/", schemaName)
	schemas.RegisterTypeAlias(reflect.TypeFor[trefoil.Instant](), reflect.TypeFor[millis]())
	schemas.RegisterTypeAlias(reflect.TypeFor[trefoil.Value](), reflect.TypeFor[anyValue]())
	config := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Trefoil",
				Version:     "1",
				Description: "Devices, their readings, and what the server says about both. Times in metadata are RFC 3339, times of readings are Unix milliseconds.",
				License:     &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Components: &huma.Components{
				Schemas: schemas,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token":   {Type: "http", Scheme: "bearer", Description: "Session token of a user, or token of a device"},
					"session": {Type: "apiKey", In: "cookie", Name: sessionCookie, Description: "Set by login"},
					"device":  {Type: "http", Scheme: "basic", Description: "Device id and token of a device"},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{ownProblems},
	}
	return &router{server: s, mux: mux, api: humago.New(mux, config)}
}

// schemaName names a schema for the type: deviceDoc is Device.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	if name == "" { // a type without a name is not shared
		return ""
	}
	return strings.TrimSuffix(strings.ToUpper(name[:1])+name[1:], "Doc")
}

// millis documents [trefoil.Instant], anyValue documents [trefoil.Value].
type (
	millis   float64
	anyValue struct{}
)

func (millis) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeNumber, Description: "Unix milliseconds; a fraction where microseconds matter"}
}

func (anyValue) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Description: "A number, a boolean or a text", OneOf: []*huma.Schema{
		{Type: huma.TypeNumber}, {Type: huma.TypeBoolean}, {Type: huma.TypeString},
	}}
}

// requestTimeout bounds how long a request waits, for a commit above all.
const requestTimeout = 30 * time.Second

// maxBody bounds the body of every route but telemetry.
const maxBody = 256 << 10

func (r *router) operation(t route) huma.Operation {
	method, path, _ := strings.Cut(t.pattern, " ")
	noun := strings.Split(strings.TrimPrefix(path, "/api/v1/"), "/")[0]
	if noun == "login" || noun == "logout" || noun == "me" {
		noun = "session"
	}
	return huma.Operation{
		OperationID: t.id, Method: method, Path: path, Summary: t.summary,
		Tags:          []string{noun},
		DefaultStatus: t.status,
		MaxBodyBytes:  maxBody,
		Security:      t.access.security(),
		Middlewares:   huma.Middlewares{r.server.guard(t.access)},
		Responses:     map[string]*huma.Response{"default": r.problem()},
	}
}

func (a access) security() []map[string][]string {
	switch {
	case a.role == "":
		return []map[string][]string{}
	case a.device:
		return []map[string][]string{{"token": {}}, {"session": {}}, {"device": {}}}
	default:
		return []map[string][]string{{"token": {}}, {"session": {}}}
	}
}

func (r *router) problem() *huma.Response {
	return &huma.Response{Description: "What went wrong", Content: map[string]*huma.MediaType{
		problemType: {Schema: r.schema(problem{})},
	}}
}

func (r *router) schema(v any) *huma.Schema {
	return r.api.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(v), true, "")
}

// add adds a route whose input and output huma decodes, checks, encodes and
// documents.
func add[I, O any](r *router, t route, h func(context.Context, *I) (*O, error)) {
	huma.Register(r.api, r.operation(t), func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		out, err := h(ctx, in)
		if err != nil {
			return nil, r.server.problemOf(ctx, err)
		}
		return out, nil
	})
}

// addRaw adds a route that reads and writes by itself, because its body is
// large or often sent; edit, example and more document it.
func addRaw(r *router, t route, edit func(*huma.Operation), example any, h func(http.ResponseWriter, *http.Request) error, more ...func(*huma.Operation)) {
	op := r.operation(t)
	edit(&op)
	for _, name := range pathNames(op.Path) {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: name, In: "path", Required: true, Schema: &huma.Schema{Type: huma.TypeString},
		})
	}
	op.Responses[strconv.Itoa(t.status)] = &huma.Response{
		Description: http.StatusText(t.status),
		Content:     map[string]*huma.MediaType{"application/json": {Schema: r.schema(example)}},
	}
	for _, edit := range more {
		edit(&op)
	}
	r.api.OpenAPI().AddOperation(&op)
	r.mux.Handle(t.pattern, r.server.guarded(t.access, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := h(w, req); err != nil {
			r.server.fail(w, req, err)
		}
	})))
}

func pathNames(path string) (names []string) {
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

func (r *router) document() ([]byte, error) {
	b, err := json.Marshal(r.api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("encode the OpenAPI document: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, fmt.Errorf("indent the OpenAPI document: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// ServeHTTP serves the route, and problem documents where there is none.
func (r *router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h, pattern := r.mux.Handler(req)
	if pattern != "" {
		r.mux.ServeHTTP(w, req) // not h: only the mux sets the path values
		return
	}
	none := &refusalRecorder{header: make(http.Header)}
	h.ServeHTTP(none, req)
	if none.status != http.StatusMethodNotAllowed {
		if r.ui != nil && !strings.HasPrefix(req.URL.Path, "/api/") && (req.Method == http.MethodGet || req.Method == http.MethodHead) {
			r.ui.ServeHTTP(w, req)
			return
		}
		writeProblem(w, newProblem(http.StatusNotFound, trefoil.CodeNotFound, "there is nothing at "+req.URL.Path))
		return
	}
	p := newProblem(none.status, trefoil.CodeInvalid, req.Method+" is not allowed here; allowed are "+none.header.Get("Allow"))
	p.headers = http.Header{"Allow": none.header["Allow"]}
	writeProblem(w, p)
}

// refusalRecorder takes what the mux says where no route is.
type refusalRecorder struct {
	header http.Header
	status int
}

func (n *refusalRecorder) Header() http.Header         { return n.header }
func (n *refusalRecorder) WriteHeader(status int)      { n.status = status }
func (n *refusalRecorder) Write(b []byte) (int, error) { return len(b), nil }
