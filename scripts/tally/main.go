// Command tally reads the output of go test -json, prints what failed in full
// and what passed in one line per package, and writes the number of passed,
// failed and skipped tests to a file.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	counts := flag.String("counts", "", "file for the three numbers")
	flag.Parse()
	t := &tally{out: os.Stdout, output: map[string]*strings.Builder{}}
	if err := t.read(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
	if *counts != "" {
		line := fmt.Sprintln(t.passed, t.failed, t.skipped)
		if err := os.WriteFile(*counts, []byte(line), 0o644); err != nil {
			fmt.Fprintln(os.Stderr, "tally:", err)
			os.Exit(1)
		}
	}
	if t.failed > 0 {
		os.Exit(1)
	}
}

// event is one line of go test -json.
type event struct {
	Action      string
	Package     string
	ImportPath  string // of what did not build
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// tally counts tests. Their output is kept until it is known whether they
// failed.
type tally struct {
	out                     io.Writer
	output                  map[string]*strings.Builder // by package and test
	passed, failed, skipped int
	failedIn                map[string]int // tests by package
}

func (t *tally) read(r io.Reader) error {
	t.failedIn = map[string]int{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(t.out, lines.Text()) // not of a test: a fault of the go command
			continue
		}
		t.take(e)
	}
	return lines.Err()
}

func (t *tally) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		t.buffer(key).WriteString(e.Output)
		return
	case "build-output":
		t.buffer("build " + e.ImportPath).WriteString(e.Output)
		return
	case "pass", "skip", "fail":
	default:
		return
	}
	if e.Test == "" {
		t.endPackage(e)
	} else {
		t.endTest(e, key)
	}
	delete(t.output, key)
}

func (t *tally) endTest(e event, key string) {
	switch e.Action {
	case "pass":
		t.passed++
	case "skip":
		t.skipped++
		fmt.Fprintf(t.out, "skipped: %s %s\n%s", e.Package, e.Test, t.buffer(key))
	case "fail":
		t.failed++
		t.failedIn[e.Package]++
		fmt.Fprintf(t.out, "FAILED: %s %s\n%s\n", e.Package, e.Test, t.buffer(key))
	}
}

// endPackage shows the output of a package that failed outside of its tests:
// it did not build, or it ended early.
func (t *tally) endPackage(e event) {
	if e.Action == "fail" && t.failedIn[e.Package] == 0 {
		t.failed++
		fmt.Fprintf(t.out, "FAILED: %s\n%s%s\n", e.Package, t.buffer("build "+e.FailedBuild), t.buffer(e.Package+" "))
		for key, b := range t.output { // tests that had begun
			if strings.HasPrefix(key, e.Package+" ") && key != e.Package+" " {
				fmt.Fprintf(t.out, "unfinished: %s\n%s\n", key, b)
			}
		}
	}
	if e.Elapsed > 0 {
		fmt.Fprintf(t.out, "%-5s %s %.1fs\n", e.Action, e.Package, e.Elapsed)
	}
}

func (t *tally) buffer(key string) *strings.Builder {
	b := t.output[key]
	if b == nil {
		b = &strings.Builder{}
		t.output[key] = b
	}
	return b
}
