package api

import (
	"fmt"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil"
)

func TestAnImportStoresWhatItCanAndNamesTheLinesThatItCannot(t *testing.T) {
	b := newBench(t)
	b.device("a")
	b.device("b")
	body := strings.Join([]string{
		`{"device":"a","ts":"2026-03-01T10:00:00Z","values":{"x":1,"y":"on"}}`,
		`{"device":"ghost","ts":"2026-03-01T10:00:00Z","values":{"x":1}}`,
		`{"device":"b","ts":1772359200,"values":{"x":2}}`,
		`not JSON`,
		`{"device":"b","ts":1772359201,"values":{"x":[1]}}`,
		`{"device":"b"}`,
		``,
		`{"device":"a","ts":"2026-03-01T10:00:01Z","values":{"x":3}}`,
	}, "\n")
	var got importDoc
	b.request("POST /api/v1/import", body).want(200).into(&got)
	if got.Lines != 8 || got.Stored != 4 || got.Refused != 4 || got.Seq == 0 || len(got.Errors) != 4 {
		t.Errorf("got %+v, want 8 lines, 4 readings stored, 4 lines refused", got)
	}
	for i, line := range []int{2, 4, 5, 6} {
		if got.Errors[i].Line != line {
			t.Errorf("error %d: got line %d, want %d", i, got.Errors[i].Line, line)
		}
	}
	b.request("GET /api/v1/devices/a/history?metric=x&from=-1d", "").want(200, `"v":[1,3]`)
	b.request("GET /api/v1/devices/b/drops", "").want(200, "malformed_payload")
}

func TestAStrictImportStopsAtTheFirstBadLine(t *testing.T) {
	b := newBench(t)
	b.device("a")
	line := `{"device":"a","ts":%d,"values":{"x":1}}` + "\n"
	body := fmt.Sprintf(line, 1772359200) + "bad\n" + fmt.Sprintf(line, 1772359201)
	var got importDoc
	b.request("POST /api/v1/import?strict=true", body).want(200).into(&got)
	if got.Lines != 2 || got.Stored != 1 || !got.Stopped {
		t.Errorf("got %+v, want 2 lines, 1 stored, stopped", got)
	}
}

func TestAnImportOfManyReadingsTellsTheOnesThatTheStoreRefuses(t *testing.T) {
	b := newBench(t)
	b.device("a")
	var body strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&body, `{"device":"a","ts":%d,"values":{"x":%d}}`+"\n", 1772300000+i, i)
	}
	for i := range 6 { // one more than a device may have
		fmt.Fprintf(&body, `{"device":"a","ts":%d,"values":{"m%d":1}}`+"\n", 1772310000, i)
	}
	var got importDoc
	b.request("POST /api/v1/import", body.String()).want(200).into(&got)
	if got.Stored != 5000 || got.Refused != 6 || len(got.Errors) != 1 || got.Errors[0].Line != 5001 || !strings.Contains(got.Errors[0].Message, "5") {
		t.Errorf("got %+v, want 5000 stored and the six lines from 5001 on refused", got)
	}
}

func TestAnImportNeedsAStoreThatWorks(t *testing.T) {
	b := newBench(t)
	b.system.fail(trefoil.Errorf(trefoil.CodeUnavailable, "the disk is full"))
	b.request("POST /api/v1/import", "{}").problem(503, trefoil.CodeUnavailable, "disk is full")
	b.system.fail(nil)
	b.request("POST /api/v1/import", strings.Repeat("x", maxImportLine+1)).problem(413, trefoil.CodeTooLarge, "line 1")
}
