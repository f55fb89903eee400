package web

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

func index(t *testing.T) string {
	t.Helper()
	b, err := fs.ReadFile(Files(), "index.html")
	if err != nil {
		t.Fatalf("index.html: %v; build the UI with npm ci && npm run build", err)
	}
	return string(b)
}

// Whatever the page asks for at its start is part of the program.
func TestIndexNamesOnlyEmbeddedFiles(t *testing.T) {
	names := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(index(t), -1)
	if len(names) < 3 {
		t.Fatalf("index.html names %d files, want at least script, style and icon", len(names))
	}
	for _, name := range names {
		if _, err := fs.Stat(Files(), strings.TrimPrefix(name[1], "/")); err != nil {
			t.Errorf("index.html names %s: %v", name[1], err)
		}
	}
}

// The content security policy forbids scripts and styles inside of pages.
func TestIndexHasNothingInline(t *testing.T) {
	for _, bad := range []string{`<script>`, `<style`, ` style="`, ` onload="`, `http://`, `https://`} {
		if strings.Contains(index(t), bad) {
			t.Errorf("index.html contains %s, want it in a file of this server", bad)
		}
	}
}

// A phone on a bad network loads the UI too: all scripts together stay under
// 120 KB when compressed.
func TestScriptsStaySmall(t *testing.T) {
	const most = 120 << 10
	scripts, err := fs.Glob(Files(), "assets/*.js")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("scripts: %v, error %v; want at least one", scripts, err)
	}
	var all bytes.Buffer
	z := gzip.NewWriter(&all)
	for _, name := range scripts {
		b, err := fs.ReadFile(Files(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := z.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if got := all.Len(); got > most {
		t.Errorf("scripts have %d bytes compressed, want at most %d", got, most)
	}
}
