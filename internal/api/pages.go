package api

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil"
)

//go:embed docs
var docs embed.FS

// pages adds what browsers load: the document, its documentation, the UI.
func (s *server) pages(r *router, document []byte) error {
	r.mux.Handle("GET /api/openapi.json", newPage("application/openapi+json", document))
	for file, at := range map[string]string{"index.html": "", "docs.css": "/docs.css", "docs.js": "/docs.js"} {
		b, err := docs.ReadFile("docs/" + file)
		if err != nil {
			return fmt.Errorf("documentation: %w", err)
		}
		r.mux.Handle("GET /api/docs"+at, newPage(typeOf(file), b))
	}
	if s.UI == nil {
		return nil
	}
	ui, err := newUI(s.UI)
	if err != nil {
		return fmt.Errorf("web UI: %w", err)
	}
	r.ui = ui
	return nil
}

// page is one file in memory.
type page struct {
	kind  string
	etag  string
	cache string
	body  []byte
}

// newPage makes a page that a browser asks for again each time, and mostly
// gets "not modified".
func newPage(kind string, body []byte) *page {
	sum := sha256.Sum256(body)
	return &page{kind: kind, body: body, cache: "no-cache", etag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", p.kind)
	h.Set("Cache-Control", p.cache)
	h.Set("Etag", p.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(p.body))
}

func typeOf(file string) string {
	switch path.Ext(file) { // not left to the tables of the machine
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".html":
		return "text/html; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".woff2":
		return "font/woff2"
	case ".webmanifest":
		return "application/manifest+json"
	}
	if t := mime.TypeByExtension(path.Ext(file)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// ui serves the files of the web UI. Every path that is not a file and does
// not look like one is a page of the UI, which routes by itself.
type ui struct {
	files map[string]*page
	index *page
}

func newUI(files fs.FS) (*ui, error) {
	u := &ui{files: make(map[string]*page)}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		p := newPage(typeOf(name), b)
		if strings.HasPrefix(name, "assets/") { // the build puts a hash into these names
			p.cache = "public, max-age=31536000, immutable"
		}
		u.files["/"+name] = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	if u.index = u.files["/index.html"]; u.index == nil {
		return nil, errors.New("index.html is missing; build it with make web")
	}
	return u, nil
}

func (u *ui) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch p := u.files[r.URL.Path]; {
	case p != nil:
		p.ServeHTTP(w, r)
	case path.Ext(r.URL.Path) == "" || strings.HasPrefix(r.URL.Path, "/devices/"): // ids may have dots
		u.index.ServeHTTP(w, r)
	default:
		writeProblem(w, newProblem(http.StatusNotFound, trefoil.CodeNotFound, "there is no file "+r.URL.Path))
	}
}
