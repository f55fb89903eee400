package simulate

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/trefoil-iot/trefoil"
)

// noon is a Wednesday, 12:00 in Roanoke.
var noon = time.Date(2026, 11, 18, 17, 0, 0, 0, time.UTC)

// oneOfEach gives the first device of every kind.
func oneOfEach(t *testing.T) map[string]Device {
	t.Helper()
	out := map[string]Device{}
	for _, d := range Plan(1, 12, "") {
		if _, ok := out[d.kind.prefix]; !ok {
			out[d.kind.prefix] = d
		}
	}
	if len(out) != 4 {
		t.Fatalf("got %d kinds, want 4", len(out))
	}
	return out
}

// series gives the values of one metric every step from a time on.
func series(d Device, metric string, from time.Time, step time.Duration, n int) []float64 {
	out := make([]float64, 0, n)
	for i := range n {
		for _, r := range d.At(from.Add(time.Duration(i)*step), nil) {
			if r.Metric == metric {
				out = append(out, r.Value.Float())
			}
		}
	}
	return out
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

func TestReadingsArePureInSeedDeviceAndTime(t *testing.T) {
	a, b, other := Plan(7, 30, ""), Plan(7, 30, "other-"), Plan(8, 30, "")
	for i := range a {
		want := a[i].At(noon, nil)
		if diff := cmp.Diff(want, b[i].At(noon, nil), cmp.Comparer(equal)); diff != "" {
			t.Errorf("%s: not the same again (-want +got):\n%s", a[i].ID, diff)
		}
		if cmp.Equal(want, other[i].At(noon, nil), cmp.Comparer(equal)) {
			t.Errorf("%s: another seed gives the same readings", a[i].ID)
		}
	}
}

func equal(a, b trefoil.Value) bool { return string(a.AppendJSON(nil)) == string(b.AppendJSON(nil)) }

func TestReadingsKeepToTheirProfile(t *testing.T) {
	for _, d := range Plan(3, 40, "") {
		for i := range 500 {
			for _, r := range d.At(noon.Add(time.Duration(i)*173*time.Second), nil) {
				checkReading(t, d, r)
			}
		}
	}
}

// checkReading wants a metric of the profile, of its kind, in its range, and
// no digit beyond its resolution.
func checkReading(t *testing.T, d Device, r trefoil.Reading) {
	t.Helper()
	m, ok := d.kind.profile.Metrics[r.Metric]
	kindOf := map[string]trefoil.Kind{"number": trefoil.Number, "boolean": trefoil.Boolean, "text": trefoil.Text}
	if !ok || r.Value.Kind() != kindOf[m.Kind] || !r.Value.Valid() {
		t.Fatalf("%s: %s is not as in the profile: %+v", d.ID, r.Metric, r.Value)
	}
	if m.Kind != "number" {
		return
	}
	v := r.Value.Float()
	if v < *m.Min || v > *m.Max {
		t.Fatalf("%s: %s is %v, outside of %v to %v", d.ID, r.Metric, v, *m.Min, *m.Max)
	}
	_, digits, _ := strings.Cut(string(r.Value.AppendJSON(nil)), ".")
	if len(digits) > *m.Decimals {
		t.Fatalf("%s: %s is %v, finer than %d decimals", d.ID, r.Metric, v, *m.Decimals)
	}
}

func TestEveryMetricOfTheProfileIsMeasured(t *testing.T) {
	for _, d := range oneOfEach(t) {
		got := map[string]bool{link: true} // the connection reports itself
		for _, r := range d.At(noon, nil) {
			got[r.Metric] = true
		}
		for metric := range d.kind.profile.Metrics {
			if !got[metric] {
				t.Errorf("%s does not measure %s", d.Profile, metric)
			}
		}
		if len(got) != len(d.kind.profile.Metrics) {
			t.Errorf("%s measures %d metrics, its profile has %d", d.Profile, len(got), len(d.kind.profile.Metrics))
		}
	}
}

// The bounds are several times what the model allows within a second, and far
// below a jump from one random value to the next.
func TestSlowQuantitiesDoNotJump(t *testing.T) {
	of := oneOfEach(t)
	for _, c := range []struct {
		kind, metric string
		perSecond    float64
	}{
		{"climate", "temperature", 0.1},
		{"climate", "humidity", 1},
		{"climate", "co2", 25},
		{"van", "temperature", 0.5},
		{"van", "latitude", 0.0005},
		{"van", "longitude", 0.0005},
		{"van", "speed", 4},
		{"meter", "voltage.l1", 2},
	} {
		v := series(of[c.kind], c.metric, noon, time.Second, 7200)
		for i := 1; i < len(v); i++ {
			if jump := math.Abs(v[i] - v[i-1]); jump > c.perSecond {
				t.Errorf("%s %s: jumps by %.4f after %d s, want at most %v", c.kind, c.metric, jump, i, c.perSecond)
				break
			}
		}
	}
}

func TestRoomsAreWarmerAndFullerByDay(t *testing.T) {
	room := oneOfEach(t)["climate"]
	night := noon.Add(-9 * time.Hour)
	for metric, least := range map[string]float64{"temperature": 1, "co2": 100} {
		byDay, byNight := mean(series(room, metric, noon, time.Minute, 240)), mean(series(room, metric, night, time.Minute, 240))
		if byDay-byNight < least {
			t.Errorf("%s: %.1f by day and %.1f by night, want a difference of at least %v", metric, byDay, byNight, least)
		}
	}
	weekend := mean(series(room, "co2", noon.Add(4*24*time.Hour), time.Minute, 240))
	if weekday := mean(series(room, "co2", noon, time.Minute, 240)); weekend > weekday-100 {
		t.Errorf("co2 on a Sunday is %.0f, on a Wednesday %.0f; want an empty room on Sunday", weekend, weekday)
	}
}

func TestNoiseOfARoomIsCorrelated(t *testing.T) {
	v := series(oneOfEach(t)["climate"], "humidity", noon, 10*time.Second, 2000)
	m := mean(v)
	var now, later float64
	for i := range len(v) - 30 {
		now += (v[i] - m) * (v[i] - m)
		later += (v[i] - m) * (v[i+30] - m)
	}
	if r := later / now; r < 0.7 {
		t.Errorf("autocorrelation over five minutes is %.2f, want at least 0.7", r)
	}
}

func TestEnergyIsTheIntegralOfPower(t *testing.T) {
	m := oneOfEach(t)["meter"]
	power, energy := series(m, "power", noon, 2*time.Second, 21600), series(m, "energy", noon, 2*time.Second, 21601)
	for i := 1; i < len(energy); i++ {
		if energy[i] < energy[i-1] {
			t.Fatalf("the counter falls from %v to %v", energy[i-1], energy[i])
		}
	}
	sum := mean(power) * 12
	if counted := energy[len(energy)-1] - energy[0]; math.Abs(counted-sum) > 0.005*sum+0.1 {
		t.Errorf("twelve hours: the counter gained %.1f kWh, the power sums up to %.1f", counted, sum)
	}
}

func TestPumpRunsWhenItSaysSo(t *testing.T) {
	p := oneOfEach(t)["pump"]
	seen := map[string]int{}
	for i := range 6 * 3600 {
		v := map[string]trefoil.Value{}
		for _, r := range p.At(noon.Add(time.Duration(i)*time.Second), nil) {
			v[r.Metric] = r.Value
		}
		state := v["state"].Text()
		seen[state]++
		if state == "idle" && (v["running"].Bool() || v["flow"].Float() > 0) {
			t.Fatalf("idle after %d s, but running %v with a flow of %v", i, v["running"].Bool(), v["flow"].Float())
		}
		if state == "running" && (!v["running"].Bool() || v["power"].Float() < 1) {
			t.Fatalf("running after %d s, but running %v with %v kW", i, v["running"].Bool(), v["power"].Float())
		}
	}
	for _, state := range []string{"idle", "starting", "running", "stopping"} {
		if seen[state] == 0 {
			t.Errorf("never %s within six hours; got %v", state, seen)
		}
	}
}

func TestBoxWarmsWhileTheDoorIsOpen(t *testing.T) {
	van := oneOfEach(t)["van"]
	open, rise := 0, 0.0
	var before []trefoil.Reading
	for i := range 3600 {
		now := van.At(noon.Add(time.Duration(i)*time.Second), nil)
		if door := now[1]; door.Metric != "door" {
			t.Fatalf("second metric is %s, want door", door.Metric)
		} else if door.Value.Text() == "open" && before != nil {
			open++
			rise += now[0].Value.Float() - before[0].Value.Float()
		}
		before = now
	}
	if open < 200 || rise < 3 {
		t.Errorf("door open for %d s in an hour, box %.1f K warmer in them; want at least 200 s and 3 K", open, rise)
	}
}

func TestPlanMixesKindsAndNamesEveryDeviceOnce(t *testing.T) {
	kindsSeen, ids := map[string]int{}, map[trefoil.DeviceID]bool{}
	for _, d := range Plan(1, 1000, "sim-") {
		kindsSeen[d.Profile]++
		if _, err := trefoil.ParseDeviceID(string(d.ID)); err != nil || ids[d.ID] {
			t.Fatalf("id %q: twice %v, error %v", d.ID, ids[d.ID], err)
		}
		if err := d.Tags.Validate(); err != nil || d.Tags["site"] == "" {
			t.Fatalf("%s: tags %v, error %v", d.ID, d.Tags, err)
		}
		ids[d.ID] = true
	}
	want := map[string]int{"indoor-climate": 400, "pump": 200, "cold-chain": 200, "energy-meter": 200}
	if diff := cmp.Diff(want, kindsSeen); diff != "" {
		t.Errorf("mix of kinds (-want +got):\n%s", diff)
	}
	if got := len(Plan(1, 5, "")); got != 5 {
		t.Errorf("got %d devices, want 5", got)
	}
}

func TestRecordsAreNestedJSONWithTheirTime(t *testing.T) {
	at := trefoil.Instant(1700000000123000)
	got := string(appendRecord(nil, []trefoil.Reading{
		{Metric: "power", Time: at, Value: trefoil.NumberValue(1.5)},
		{Metric: "voltage.l1", Time: at, Value: trefoil.NumberValue(230)},
		{Metric: "voltage.l2", Time: at, Value: trefoil.NumberValue(231)},
		{Metric: "on", Time: at, Value: trefoil.BooleanValue(true)},
		{Metric: "door.front", Time: at, Value: trefoil.TextValue("open")},
	}))
	want := `{"ts":1700000000123,"power":1.5,"voltage":{"l1":230,"l2":231},"on":true,"door":{"front":"open"}}`
	if got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if !json.Valid([]byte(got)) {
		t.Error("it is not JSON")
	}
}

func TestProfilesAreWhatTheAPITakes(t *testing.T) {
	b, err := json.Marshal(Profiles()[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"name":"indoor-climate"`, `"temperature":{"label":"Temperature","unit":"°C","min":-10,"max":50,"decimals":2,"cadence":"10s","kind":"number"}`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("got %s, want it to contain %s", b, want)
		}
	}
}
