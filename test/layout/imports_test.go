// Package layout holds the rules of the tree as tests: which package may
// import which, and what may not be in the source at all.
package layout

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

const module = "github.com/trefoil-iot/trefoil"

// layers are the packages of the product from the bottom to the top, without
// the path of the module. A package may import those of lower layers, never
// one of its own layer or above. The exceptions are below.
var layers = [][]string{
	{""}, // the words of the product
	{"internal/store", "internal/series", "internal/payload", "internal/config", "internal/telemetry", "internal/tlsfile", "web"},
	{"internal/store/sqlite", "internal/store/postgres", "internal/store/storetest"},
	{"internal/ingest", "internal/history", "internal/live", "internal/registry", "internal/journal", "internal/control", "internal/alert", "internal/auth", "internal/storage"},
	{"internal/api", "internal/source", "internal/broker", "internal/simulate", "internal/plan", "internal/lab", "internal/client", "internal/transfer"},
	{"internal/app"},
	{"internal/cli"},
	{"cmd/trefoil"},
}

// apart are packages that know nothing of the layers, with the packages of
// the module that they may import all the same.
var apart = map[string][]string{
	"mqtt/packet":      nil,
	"mqtt":             {"mqtt/packet"},
	"mqtt/sessiontest": {"mqtt", "mqtt/packet"},
	"device":           nil,
}

// above are packages from which the layers see what is apart.
const above = 4

type goPackage struct {
	ImportPath string
	Name, Dir  string
	Doc        string
	Imports    []string
	GoFiles    []string
}

// packages lists the packages of the module as the go command sees them.
func packages(t *testing.T) []goPackage {
	t.Helper()
	root, err := trefoiltest.Root()
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("go", "list", "-json=ImportPath,Name,Dir,Doc,Imports,GoFiles", "./...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("output of go list: %v", err)
		}
		all = append(all, p)
	}
}

// short is the path below the module, and whether it belongs to it.
func short(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, module)
	return strings.TrimPrefix(rest, "/"), ok
}

// layerOf finds the layer of a package or, for a part that is not named
// itself, of the package that contains it; -1 when there is none.
func layerOf(pkg string) (layer int, named string) {
	for ; ; pkg = pkg[:strings.LastIndexByte(pkg, '/')] {
		for i, names := range layers {
			if slices.Contains(names, pkg) {
				return i, pkg
			}
		}
		if !strings.Contains(pkg, "/") {
			return -1, ""
		}
	}
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		pkg, _ := short(p.ImportPath)
		if strings.HasPrefix(pkg, "test/") || strings.HasPrefix(pkg, "scripts/") || strings.HasPrefix(pkg, "examples/") {
			continue // nothing imports them, and they see everything
		}
		for _, path := range p.Imports {
			imported, ours := short(path)
			if ours && !mayImport(pkg, imported) {
				t.Errorf("%s imports %s, which is not below it; the layers are in test/layout", p.ImportPath, path)
			}
		}
		if _, isApart := apart[pkg]; !isApart {
			if layer, _ := layerOf(pkg); layer < 0 {
				t.Errorf("%s has no layer; give it one in test/layout", p.ImportPath)
			}
		}
	}
}

func mayImport(pkg, imported string) bool {
	if allowed, ok := apart[pkg]; ok {
		return slices.Contains(allowed, imported)
	}
	from, named := layerOf(pkg)
	if _, ok := apart[imported]; ok {
		return from >= above
	}
	to, target := layerOf(imported)
	return to < from || named == target // parts of one package may see each other
}

func TestTheWordsImportTheStandardLibraryOnly(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module {
			continue
		}
		for _, path := range p.Imports {
			if strings.Contains(path, ".") {
				t.Errorf("the root package imports %s; want the standard library only", path)
			}
		}
	}
}

func TestMainOnlyRunsTheCommandLine(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module+"/cmd/trefoil" {
			continue
		}
		if want := []string{module + "/internal/cli", "os"}; !slices.Equal(p.Imports, want) {
			t.Errorf("cmd/trefoil imports %q, want %q", p.Imports, want)
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
