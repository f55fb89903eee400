package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// ours are the names of files that people write; what is generated or brought
// in by a package manager lies in the folders that sources skips.
var ours = []string{".go", ".ts", ".js", ".mjs", ".svelte", ".css", ".sh", ".sql", ".md", ".yaml", ".yml"}

// sources visits every file of the tree that people write.
func sources(t *testing.T, visit func(path string)) {
	t.Helper()
	root, err := trefoiltest.Root()
	if err != nil {
		t.Fatal(err)
	}
	skip := []string{".git", ".tools", "node_modules", "dist", "build", "testdata", "screenshots"}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skip, d.Name()):
			return fs.SkipDir
		case !d.IsDir() && slices.Contains(ours, filepath.Ext(path)):
			visit(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsLeftUnfinished(t *testing.T) {
	mark := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	sources(t, func(path string) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(b), "\n") {
			if mark.MatchString(line) {
				t.Errorf("%s:%d is marked as unfinished: %s", path, i+1, strings.TrimSpace(line))
			}
		}
	})
}

func TestNoPackageRunsCodeOnImport(t *testing.T) {
	sources(t, func(path string) {
		if filepath.Ext(path) != ".go" {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function; construct what it makes and pass it on", path)
			}
		}
	})
}

func TestNoTestSleeps(t *testing.T) {
	sources(t, func(path string) {
		if !strings.HasSuffix(path, "_test.go") {
			return
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if bubbled(f) {
			return // the clock of testing/synctest is not a real one
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && s.Sel.Name == "Sleep" && isName(s.X, "time") {
				t.Errorf("%s sleeps; wait for the condition instead", path)
			}
			return true
		})
	})
}

func bubbled(f *ast.File) bool {
	return slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
}

func isName(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}
