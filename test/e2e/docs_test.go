package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// A fenced block of a document that is run or compared. What its first line
// says decides what happens to it:
//
//	```sh                 run; it must succeed
//	```sh server          started, and kept running until the document ends
//	```output             what the block before it printed; … stands for anything
//	```yaml trefoil.yaml  written to that file
//
// Blocks of other languages are only read by people. All blocks of one
// document run in one shell, in an empty directory, from top to bottom.
type fence struct {
	line       int // of its first line of text
	lang, mode string
	text       string
}

// runnable are the languages that are shell and would not be run.
var disguised = []string{"bash", "shell", "console", "zsh", "shell-session"}

var fenceLine = regexp.MustCompile("^```(\\S*) ?(.*)$")

// fences finds the blocks of a document.
func fences(text string) (all []fence, err error) {
	var open *fence
	for i, line := range strings.Split(text, "\n") {
		m := fenceLine.FindStringSubmatch(line)
		switch {
		case m == nil && open != nil:
			open.text += line + "\n"
		case m != nil && open != nil:
			all = append(all, *open)
			open = nil
		case m != nil && slices.Contains(disguised, m[1]):
			return nil, fmt.Errorf("line %d: a block of %q is not run by the tests; call it sh", i+1, m[1])
		case m != nil:
			open = &fence{line: i + 2, lang: m[1], mode: m[2]}
		}
	}
	if open != nil {
		return nil, fmt.Errorf("line %d: the block does not end", open.line-1)
	}
	return all, nil
}

func TestEveryCommandOfTheDocumentsWorks(t *testing.T) {
	root, err := trefoiltest.Root()
	if err != nil {
		t.Fatal(err)
	}
	documents, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range append(documents, filepath.Join(root, "README.md")) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			blocks, err := fences(string(text))
			if err != nil {
				t.Fatal(err)
			}
			readAloud(t, root, blocks)
		})
	}
}

// readAloud does what a reader of the document would do.
func readAloud(t *testing.T, root string, blocks []fence) {
	t.Helper()
	s := openShell(t, root)
	printed := ""
	for _, b := range blocks {
		switch {
		case b.lang == "sh" && b.mode == "server":
			s.serve(b)
		case b.lang == "sh":
			printed = s.run(b)
		case b.lang == "output" && !matches(b.text, printed):
			t.Errorf("line %d: the document says\n%s\nand the command printed\n%s", b.line, b.text, printed)
		case b.lang == "yaml" && b.mode != "":
			s.write(b.mode, b.text)
		}
	}
}

// matches compares a text of a document with what was printed. An ellipsis
// stands for any characters, on a line of its own for any lines.
func matches(want, printed string) bool {
	pattern := regexp.QuoteMeta(strings.TrimSpace(want))
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	return regexp.MustCompile(`(?s)^\s*` + pattern + `\s*$`).MatchString(printed)
}

func TestADocumentsOutputIsComparedWithItsEllipses(t *testing.T) {
	for _, c := range []struct {
		want, printed string
		match         bool
	}{
		{`{"accepted":1,"seq":…}`, `{"accepted":1,"seq":12}`, true},
		{"a\n…\nz\n", "a\nb\nc\nz", true},
		{"a", "b", false},
		{"a", "a\nb", false},
	} {
		if got := matches(c.want, c.printed); got != c.match {
			t.Errorf("matches(%q, %q): got %v, want %v", c.want, c.printed, got, c.match)
		}
	}
}

func TestShellInDisguiseIsRefusedInDocuments(t *testing.T) {
	if got, err := fences("text\n```bash\nls\n```\n"); err == nil {
		t.Errorf("got %v, want an error for a block that nobody would run", got)
	}
}
