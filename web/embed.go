// Package web carries the built web UI. The sources are beside it; dist is
// committed so that Go alone can build the program, and is made by
// `npm ci && npm run build`.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files gives the built UI: index.html, its assets below assets/, and the
// files with fixed names such as favicon.svg. The names below assets/ contain
// a hash of their content, so they may be cached for ever; all others must be
// asked for again. Every page of the UI is index.html.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic("web: " + err.Error()) // fs.Sub fails only for an invalid path, and this one is constant
	}
	return files
}
