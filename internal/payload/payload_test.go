package payload_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/payload"
)

const arrival = trefoil.Instant(1_700_000_000_000_000)

func at(rfc3339 string) trefoil.Instant {
	t, err := time.Parse(time.RFC3339Nano, rfc3339)
	if err != nil {
		panic(err)
	}
	return trefoil.InstantOf(t)
}

func num(metric string, t trefoil.Instant, f float64) trefoil.Reading {
	return trefoil.Reading{Metric: metric, Time: t, Value: trefoil.NumberValue(f)}
}

func text(metric string, t trefoil.Instant, s string) trefoil.Reading {
	return trefoil.Reading{Metric: metric, Time: t, Value: trefoil.TextValue(s)}
}

func boolean(metric string, t trefoil.Instant, b bool) trefoil.Reading {
	return trefoil.Reading{Metric: metric, Time: t, Value: trefoil.BooleanValue(b)}
}

func decode(t *testing.T, src payload.Source, body string) ([]trefoil.Reading, error) {
	t.Helper()
	src.Received = arrival
	return payload.NewDecoder(payload.Limits{Readings: 20, Depth: 3}).Decode(src, []byte(body), nil)
}

func diff(t *testing.T, got, want []trefoil.Reading) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.AllowUnexported(trefoil.Value{})); d != "" {
		t.Errorf("readings differ (-want +got):\n%s", d)
	}
}

func TestPayloadsBecomeReadings(t *testing.T) {
	second := at("2026-11-22T20:40:09Z")
	for _, tc := range []struct {
		name, metric, contentType, body string
		want                            []trefoil.Reading
	}{
		{"object", "", "", `{"temperature": 21.5, "open": true, "state": "idle"}`, []trefoil.Reading{
			num("temperature", arrival, 21.5), boolean("open", arrival, true), text("state", arrival, "idle"),
		}},
		{"nested objects flatten with dots", "", "", `{"motor": {"speed": 3, "coil": {"t": 80}}, "x": 1}`, []trefoil.Reading{
			num("motor.speed", arrival, 3), num("motor.coil.t", arrival, 80), num("x", arrival, 1),
		}},
		{"null says nothing", "", "", `{"a": null, "b": -0.5e2}`, []trefoil.Reading{num("b", arrival, -50)}},
		{"ts in RFC 3339", "", "", `{"ts": "2026-11-22T21:40:09+01:00", "a": 1}`, []trefoil.Reading{num("a", second, 1)}},
		{"ts in seconds", "", "", `{"a": 1, "ts": 1795380009}`, []trefoil.Reading{num("a", second, 1)}},
		{"ts in fractions of a second", "", "", `{"a": 1, "ts": 1795380009.25}`, []trefoil.Reading{num("a", second.Add(250*time.Millisecond), 1)}},
		{"ts in milliseconds", "", "", `{"a": 1, "ts": 1795380009000}`, []trefoil.Reading{num("a", second, 1)}},
		{"ts in microseconds", "", "", `{"a": 1, "ts": 1795380009000001}`, []trefoil.Reading{num("a", second+1, 1)}},
		{"ts in nanoseconds", "", "", `{"a": 1, "ts": 1795380009000001999}`, []trefoil.Reading{num("a", second+1, 1)}},
		{"an inner ts is a metric", "", "", `{"a": {"ts": 5}}`, []trefoil.Reading{num("a.ts", arrival, 5)}},
		{"array of records", "", "application/json; charset=utf-8", `[{"ts": 1795380009, "a": 1}, {"a": 2}]`, []trefoil.Reading{
			num("a", second, 1), num("a", arrival, 2),
		}},
		{"plain number", "temperature", "", ` 21.5 `, []trefoil.Reading{num("temperature", arrival, 21.5)}},
		{"plain boolean", "open", "", `false`, []trefoil.Reading{boolean("open", arrival, false)}},
		{"plain text", "state", "", `"auf \u00e4"`, []trefoil.Reading{text("state", arrival, "auf ä")}},
		{
			"SenML (RFC 8428, section 5.1.2)", "", "application/senml+json",
			`[{"bn":"dev:","bt":1795380009,"bu":"A","bver":5,"n":"voltage","u":"V","v":120.1},{"n":"current","t":-5,"v":1.2},{"n":"ok","vb":true},{"n":"s","vs":"x"}]`,
			[]trefoil.Reading{
				num("dev:voltage", second, 120.1), num("dev:current", second.Add(-5*time.Second), 1.2),
				boolean("dev:ok", second, true), text("dev:s", second, "x"),
			},
		},
		{
			"SenML time relative to now", "", "application/senml+json", `[{"n":"a","t":-10,"v":1}]`,
			[]trefoil.Reading{num("a", arrival.Add(-10*time.Second), 1)},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := decode(t, payload.Source{Metric: tc.metric, ContentType: tc.contentType}, tc.body)
			if err != nil {
				t.Fatalf("error %v, want none", err)
			}
			diff(t, got, tc.want)
		})
	}
}

func TestCBORGivesWhatTheSameJSONGives(t *testing.T) {
	for _, body := range []string{
		`{"a": 1.5, "b": {"c": true, "d": "x"}, "ts": 1795380009}`,
		`[{"ts": "2026-11-22T20:40:09Z", "a": -1}, {"a": 2}]`,
	} {
		var doc any
		if err := json.Unmarshal([]byte(body), &doc); err != nil {
			t.Fatal(err)
		}
		encoded, err := cbor.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		want, err := decode(t, payload.Source{}, body)
		if err != nil {
			t.Fatal(err)
		}
		for _, contentType := range []string{"", "application/cbor"} {
			got, err := decode(t, payload.Source{ContentType: contentType}, string(encoded))
			if err != nil {
				t.Fatalf("%s as %q: %v", body, contentType, err)
			}
			diff(t, got, want)
		}
	}
}

func TestSenMLInCBORUsesTheIntegerLabels(t *testing.T) {
	body, err := cbor.Marshal([]map[int]any{{-2: "d:", -3: 1795380009, 0: "a", 2: 3}, {0: "b", 4: true}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(t, payload.Source{ContentType: "application/senml+cbor"}, string(body))
	if err != nil {
		t.Fatal(err)
	}
	second := at("2026-11-22T20:40:09Z")
	diff(t, got, []trefoil.Reading{num("d:a", second, 3), boolean("d:b", second, true)})
}

func TestBadPayloadsAreRefusedWithAReason(t *testing.T) {
	long := strings.Repeat("x", trefoil.MaxText+1)
	many := `{"a0":1` + strings.Repeat(`,"a":1`, 20) + `}`
	for _, tc := range []struct {
		name, metric, contentType, body, want string
		code                                  trefoil.Code
	}{
		{"empty", "", "", ``, "empty", trefoil.CodeInvalid},
		{"not JSON", "", "", `temperature=21`, "not JSON", trefoil.CodeInvalid},
		{"cut off", "", "", `{"a": 1`, "not JSON", trefoil.CodeInvalid},
		{"two documents", "", "", `{"a":1}{"a":2}`, "not JSON", trefoil.CodeInvalid},
		{"no readings", "", "", `{"ts": 1795380009}`, "no readings", trefoil.CodeInvalid},
		{"number where an object belongs", "", "", `21.5`, "a number", trefoil.CodeInvalid},
		{"object where a value belongs", "a", "", `{"a":1}`, "plain value", trefoil.CodeInvalid},
		{"text without quotes", "a", "", `open`, "not JSON", trefoil.CodeInvalid},
		{"array as a value", "", "", `{"a": [1, 2]}`, `"a" is an array`, trefoil.CodeInvalid},
		{"array in the array", "", "", `[[1]]`, "entry 1", trefoil.CodeInvalid},
		{"NaN", "", "", `{"a": NaN}`, "finite", trefoil.CodeInvalid},
		{"infinity", "a", "", `-inf`, "finite", trefoil.CodeInvalid},
		{"overflow", "", "", `{"a": 1e999}`, "finite", trefoil.CodeInvalid},
		{"number that is none", "", "", `{"a": 1-2}`, "finite", trefoil.CodeInvalid},
		{"ts of a wrong type", "", "", `{"ts": true, "a": 1}`, "RFC 3339", trefoil.CodeInvalid},
		{"ts that is no time", "", "", `{"ts": "yesterday", "a": 1}`, "yesterday", trefoil.CodeInvalid},
		{"ts before 1970", "", "", `{"ts": -1, "a": 1}`, "1970", trefoil.CodeInvalid},
		{"second record bad", "", "", `[{"a": 1}, {"a": [1]}]`, "entry 2", trefoil.CodeInvalid},
		{"wildcard in a name", "", "", `{"a+": 1}`, `"a+"`, trefoil.CodeInvalid},
		{"empty name", "", "", `{"": 1}`, "empty", trefoil.CodeInvalid},
		{"too deep", "", "", `{"a":{"b":{"c":{"d":1}}}}`, "3 objects deep", trefoil.CodeInvalid},
		{"too long a text", "a", "", `"` + long + `"`, "4096", trefoil.CodeInvalid},
		{"text that is not UTF-8", "", "", "{\"a\": \"\xff\"}", "UTF-8", trefoil.CodeInvalid},
		{"too many readings", "", "", many, "20 readings", trefoil.CodeTooMany},
		{"unknown content type", "", "image/png", `x`, "application/json", trefoil.CodeInvalid},
		{"not CBOR", "", "application/cbor", "\xff", "not CBOR", trefoil.CodeInvalid},
		{"CBOR byte string", "a", "application/cbor", "\x41x", "byte string", trefoil.CodeInvalid},
		{"CBOR repeated key", "", "application/cbor", "\xa2\x61a\x01\x61a\x02", "not CBOR", trefoil.CodeInvalid},
		{"SenML unknown must-understand field", "", "application/senml+json", `[{"n":"a","x_":1,"v":1}]`, "x_", trefoil.CodeInvalid},
		{"SenML wrong type", "", "application/senml+json", `[{"n":1,"v":1}]`, `"n"`, trefoil.CodeInvalid},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := decode(t, payload.Source{Metric: tc.metric, ContentType: tc.contentType}, tc.body)
			if trefoil.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v (code %q), want code %q and %q in it", err, trefoil.CodeOf(err), tc.code, tc.want)
			}
			if len(got) != 0 {
				t.Errorf("%d readings of a refused payload, want none", len(got))
			}
		})
	}
}

func FuzzDecodeNeverYieldsWhatCannotBeStored(f *testing.F) {
	for _, s := range []string{`{"a":1,"ts":1795380009}`, `[{"a":{"b":true}}]`, `"x"`, `[{"bn":"a","v":1}]`, "\xa1\x61a\x01", "\x81\xa1\x00\x61a"} {
		f.Add("", "", []byte(s))
		f.Add("m", "application/senml+json", []byte(s))
		f.Add("", "application/cbor", []byte(s))
	}
	decoder := payload.NewDecoder(payload.Limits{})
	f.Fuzz(func(t *testing.T, metric, contentType string, body []byte) {
		readings, err := decoder.Decode(payload.Source{ContentType: contentType, Metric: metric, Received: arrival}, body, nil)
		if (err == nil) != (len(readings) > 0) {
			t.Fatalf("%d readings with error %v", len(readings), err)
		}
		for _, r := range readings {
			if _, err := trefoil.ParseMetric(r.Metric); err != nil || !r.Value.Valid() || r.Time < 0 {
				t.Fatalf("reading %+v cannot be stored: %v", r, err)
			}
		}
	})
}

func BenchmarkDecodeFourMetrics(b *testing.B) {
	decoder := payload.NewDecoder(payload.Limits{})
	body := []byte(`{"ts":1795380009000001,"temperature":21.53,"humidity":45.1,"pressure":1013.25,"battery":3.701}`)
	var readings []trefoil.Reading
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if readings, err = decoder.Decode(payload.Source{Received: arrival}, body, readings[:0]); err != nil {
			b.Fatal(err)
		}
	}
}
