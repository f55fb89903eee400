package mqtt_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// clause is one normative statement of the specification in a few words of
// our own. Where it asks nothing of this server, why says so.
type clause struct{ id, rule, why string }

const (
	duty    = "client's duty"
	allQoS  = "the server supports every QoS, and retained messages"
	noAuth  = "no enhanced authentication is supported: AUTH is never sent"
	library = "about the whole product"
)

// Every statement that applies to a server is named where the code fulfils it
// or where a test proves it, as [MQTT-3.1.2-3]; the others are listed with
// their reasons in DESIGN.md. Adding a statement here that nobody names fails.
func TestEveryClauseIsNamed(t *testing.T) {
	named := namedClauses(t)
	design, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	waived := expandRanges(string(design))
	for _, c := range clauses {
		id := "MQTT-" + c.id
		switch {
		case c.why == "" && !slices.Contains(named[id], "5.0"):
			t.Errorf("%s (%s): not named in any line or test", id, c.rule)
		case c.why != "" && !waived[id]:
			t.Errorf("%s (%s): not listed in DESIGN.md as %q", id, c.rule, c.why)
		}
	}
	for id, versions := range named {
		known := slices.ContainsFunc(append(clauses311, clauses...), func(c clause) bool { return "MQTT-"+c.id == id })
		if slices.Contains(versions, "5.0") && !known {
			t.Errorf("%s is named in the code and no statement", id)
		}
	}
	t.Logf("%d statements of 5.0", len(clauses))
}

// Each statement of 3.1.1 is the same as statements of 5.0, or is named
// itself, as [MQTT-3.1.3-8 of 3.1.1], or asks nothing of a server.
func TestEveryClauseOf311IsNamed(t *testing.T) {
	named := namedClauses(t)
	for _, c := range clauses311 {
		if c.why != "" {
			continue
		}
		if c.rule == "" {
			if !slices.Contains(named["MQTT-"+c.id], "3.1.1") {
				t.Errorf("MQTT-%s of 3.1.1: not named in any line or test", c.id)
			}
			continue
		}
		for same := range strings.FieldsSeq(c.rule) {
			i := slices.IndexFunc(clauses, func(d clause) bool { return d.id == same })
			if i < 0 || clauses[i].why != "" {
				t.Errorf("MQTT-%s of 3.1.1: %s is no statement of 5.0 that the server fulfils", c.id, same)
			}
		}
	}
	t.Logf("%d statements of 3.1.1", len(clauses311))
}

var (
	clauseName  = regexp.MustCompile(`(MQTT-\d[.-]\d+(?:\.\d+)?-\d+)( of 3\.1\.1)?`)
	clauseRange = regexp.MustCompile(`(\d[.-]\d+(?:\.\d+)?-)(\d+)(?: to (\d+))?`)
)

// namedClauses finds the statements that sources and tests name, and of which
// version each is. WebSocket is served by the application that the engine is
// made for.
func namedClauses(t *testing.T) map[string][]string {
	t.Helper()
	named := map[string][]string{}
	for _, dir := range []string{".", "packet", "sessiontest", "../internal/broker"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no sources in %s: %v", dir, err)
		}
		for _, file := range files {
			if strings.HasPrefix(filepath.Base(file), "clauses") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range clauseName.FindAllStringSubmatch(string(text), -1) {
				version := "5.0"
				if m[2] != "" {
					version = "3.1.1"
				}
				named[m[1]] = append(named[m[1]], version)
			}
		}
	}
	return named
}

// expandRanges reads lists such as "3.2.2-9 to 14, 4.5.0-2".
func expandRanges(text string) map[string]bool {
	ids := map[string]bool{}
	for _, m := range clauseRange.FindAllStringSubmatch(text, -1) {
		first, _ := strconv.Atoi(m[2]) // digits, as the expression says
		last := first
		if m[3] != "" {
			last, _ = strconv.Atoi(m[3])
		}
		for n := first; n <= last; n++ {
			ids["MQTT-"+m[1]+strconv.Itoa(n)] = true
		}
	}
	return ids
}
