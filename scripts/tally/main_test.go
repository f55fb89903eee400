package main

import (
	"strings"
	"testing"
)

func TestFailuresAreShownInFullAndSuccessesAreQuiet(t *testing.T) {
	const events = `{"Action":"output","Package":"p","Test":"A","Output":"said by A\n"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"B","Output":"said by B\n"}
{"Action":"fail","Package":"p","Test":"B"}
{"Action":"skip","Package":"p","Test":"C"}
{"Action":"fail","Package":"p","Elapsed":1}
{"Action":"build-output","ImportPath":"q [q.test]","Output":"q.go:1: broken\n"}
{"Action":"fail","Package":"q","FailedBuild":"q [q.test]"}
`
	var out strings.Builder
	c := &tally{out: &out, output: map[string]*strings.Builder{}}
	if err := c.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	if c.passed != 1 || c.failed != 2 || c.skipped != 1 {
		t.Errorf("got %d passed, %d failed, %d skipped, want 1, 2, 1", c.passed, c.failed, c.skipped)
	}
	for text, want := range map[string]bool{"said by A": false, "said by B": true, "skipped: p C": true, "q.go:1: broken": true} {
		if got := strings.Contains(out.String(), text); got != want {
			t.Errorf("output contains %q: got %v, want %v; output:\n%s", text, got, want, out.String())
		}
	}
}

func TestAPackageThatEndsEarlyShowsWhatItWasDoing(t *testing.T) {
	const events = `{"Action":"output","Package":"p","Test":"A","Output":"began\n"}
{"Action":"output","Package":"p","Output":"panic: out of memory\n"}
{"Action":"fail","Package":"p"}
`
	var out strings.Builder
	c := &tally{out: &out, output: map[string]*strings.Builder{}}
	if err := c.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); c.failed != 1 || !strings.Contains(got, "panic: out of memory") || !strings.Contains(got, "began") {
		t.Errorf("got %d failed and output %q, want 1 with the panic and the unfinished test", c.failed, got)
	}
}
