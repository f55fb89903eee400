package series

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/trefoil-iot/trefoil"
)

func newCodec(t testing.TB) *Codec {
	t.Helper()
	c, err := NewCodec()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func equal(t rapid.TB, got, want *Columns) {
	t.Helper()
	if got.Len() != want.Len() {
		t.Fatalf("got %d readings, want %d", got.Len(), want.Len())
	}
	for i := range want.Len() {
		same := got.Value(i) == want.Value(i) && math.Signbit(got.Value(i).Float()) == math.Signbit(want.Value(i).Float())
		if got.Time(i) != want.Time(i) || !same {
			t.Fatalf("reading %d: got %v at %d, want %v at %d", i, got.Value(i), got.Time(i), want.Value(i), want.Time(i))
		}
	}
}

// anyValue draws values of all kinds, numbers of many forms.
func anyValue(t *rapid.T) trefoil.Value {
	switch rapid.IntRange(0, 7).Draw(t, "form") {
	case 0:
		return trefoil.BooleanValue(rapid.Bool().Draw(t, "boolean"))
	case 1:
		return trefoil.TextValue(rapid.StringN(0, 8, 32).Draw(t, "text"))
	case 2:
		return trefoil.NumberValue(rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "any"))
	case 3:
		return trefoil.NumberValue(math.Copysign(0, -1))
	default:
		places := rapid.IntRange(0, 6).Draw(t, "places")
		return trefoil.NumberValue(float64(rapid.IntRange(-1e7, 1e7).Draw(t, "number")) / math.Pow10(places))
	}
}

func anySorted(t *rapid.T) Columns {
	var c Columns
	at := trefoil.Instant(rapid.Int64Range(-1e17, 1e17).Draw(t, "start"))
	unit := rapid.SampledFrom([]int64{1, 1000, 1_000_000}).Draw(t, "unit")
	numbers := rapid.Bool().Draw(t, "only numbers")
	for range rapid.IntRange(0, 300).Draw(t, "n") {
		v := anyValue(t)
		if numbers {
			v = trefoil.NumberValue(v.Float())
		}
		c.Append(at, v)
		at += trefoil.Instant(rapid.Int64Range(1, 1e6).Draw(t, "step") * unit)
	}
	return c
}

func TestWhatIsEncodedDecodesToTheSame(t *testing.T) {
	codec := newCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		want := anySorted(t)
		got, err := codec.Decode(codec.Encode(nil, &want))
		if err != nil {
			t.Fatalf("decode: %v", err)
		}
		equal(t, &got, &want)
		if want.Len() == 0 {
			return
		}
		sum, err := ReadSummary(want.Summarize().Append(nil))
		if err != nil || sum != want.Summarize() {
			t.Fatalf("summary: got %v, %v; want %v", sum, err, want.Summarize())
		}
	})
}

func TestDamagedChunkIsAnErrorNeverAPanic(t *testing.T) {
	codec := newCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		cols := anySorted(t)
		data := codec.Encode(nil, &cols)
		i := rapid.IntRange(0, len(data)-1).Draw(t, "place")
		data[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if _, err := codec.Decode(data); !errors.Is(err, ErrDamaged) {
			t.Fatalf("decode with byte %d changed: got error %v, want %v", i, err, ErrDamaged)
		}
		// The same behind the checksum: content that contradicts itself.
		raw := codec.appendContent(nil, &cols)
		for range 20 {
			raw[rapid.IntRange(0, len(raw)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			d := decoder{rest: raw}
			d.columns()
		}
	})
}

func TestEveryTextBackFromAChunkOfMaximumTexts(t *testing.T) {
	codec := newCodec(t)
	var want Columns
	for i := range 300 {
		b := make([]byte, trefoil.MaxText)
		for k := range b {
			b[k] = byte('a' + (i*31+k*7+k/13)%26)
		}
		want.Append(trefoil.Instant(i), trefoil.TextValue(string(b)))
	}
	got, err := codec.Decode(codec.Encode(nil, &want))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, &got, &want)
}

// signal is a sensor of 0.01 resolution: a daily cycle, a slow drift, noise.
func signal(n int, start trefoil.Instant, jitter bool) Columns {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var c Columns
	drift := 0.0
	for i := range n {
		at := start + trefoil.Instant(i)*10_000_000
		if jitter {
			at += trefoil.Instant(r.IntN(40)) * 1000
		}
		drift += r.NormFloat64() * 0.01
		v := 21 + 4*math.Sin(float64(i)/8640*2*math.Pi) + drift + 0.03*r.NormFloat64()
		c.Append(at, trefoil.NumberValue(math.Round(v*100)/100))
	}
	return c
}

func BenchmarkCodec(b *testing.B) {
	codec := newCodec(b)
	for _, n := range []int{360, 8640} {
		for _, jitter := range []bool{false, true} {
			c := signal(n, 1_700_000_000_000_000, jitter)
			data := codec.Encode(nil, &c)
			name := fmt.Sprintf("n=%d/jitter=%v", n, jitter)
			b.Run(name+"/encode", func(b *testing.B) {
				for b.Loop() {
					data = codec.Encode(data[:0], &c)
				}
				b.ReportMetric(float64(len(data))/float64(n), "bytes/reading")
			})
			b.Run(name+"/decode", func(b *testing.B) {
				for b.Loop() {
					if _, err := codec.Decode(data); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func TestHeadGivesWhatASortedMapGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Head
		model := map[trefoil.Instant]trefoil.Value{}
		check := func() {
			s := h.Snapshot()
			got := s.Columns()
			var want Columns
			for _, at := range sortedTimes(model) {
				want.Append(at, model[at])
			}
			equal(t, &got, &want)
		}
		for range rapid.IntRange(0, 400).Draw(t, "n") {
			at := trefoil.Instant(rapid.IntRange(0, 200).Draw(t, "time"))
			v := anyValue(t)
			h.Append(at, v)
			model[at] = v
		}
		before := h.Snapshot()
		was := before.Columns()
		was = was.clone()
		check()
		cut := trefoil.Instant(rapid.IntRange(0, 200).Draw(t, "cut"))
		h.CutBefore(cut)
		for at := range model {
			if at < cut {
				delete(model, at)
			}
		}
		h.Append(cut+1, trefoil.NumberValue(1))
		model[cut+1] = trefoil.NumberValue(1)
		check()
		still := before.Columns()
		equal(t, &still, &was) // a snapshot stays as it is
	})
}

func sortedTimes(m map[trefoil.Instant]trefoil.Value) []trefoil.Instant {
	var out []trefoil.Instant
	for t := range m {
		out = append(out, t)
	}
	slices.Sort(out)
	return out
}
