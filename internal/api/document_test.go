package api

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var write = flag.Bool("write", false, "write the OpenAPI document instead of comparing it")

// committed is where the types of the web UI are made from.
const committed = "../../web/src/lib/api/openapi.json"

func TestTheCommittedDocumentIsThatOfTheRoutes(t *testing.T) {
	got, err := Document()
	if err != nil {
		t.Fatalf("make the document: %v", err)
	}
	if *write {
		if err := os.WriteFile(committed, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is not up to date; run make generate (-committed +routes):\n%s", committed, diff)
	}
}

func TestTheDocumentIsTheSameEveryTime(t *testing.T) {
	first, err := Document()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, err := Document()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(again)); diff != "" {
			t.Fatalf("two documents differ (-first +again):\n%s", diff)
		}
	}
}
