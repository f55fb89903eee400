package lineprotocol_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/payload/lineprotocol"
)

var byValue = cmp.Comparer(func(a, b trefoil.Value) bool { return a == b })

func TestLinesOfTheSpecificationAreRead(t *testing.T) {
	number, text := trefoil.NumberValue, trefoil.TextValue
	for line, want := range map[string]lineprotocol.Point{
		`weather,location=us-midwest temperature=82 1465839830100400200`: {
			Measurement: "weather", Tags: map[string]string{"location": "us-midwest"}, Time: 1465839830100400200, Timed: true,
			Fields: []lineprotocol.Field{{Name: "temperature", Value: number(82)}},
		},
		`m a=1i,b=2u,c=-1.5e3,d=t,e=FALSE,f="x, y=\"z\" \\ 1"`: {
			Measurement: "m", Tags: map[string]string{}, Fields: []lineprotocol.Field{
				{Name: "a", Value: number(1)},
				{Name: "b", Value: number(2)},
				{Name: "c", Value: number(-1500)},
				{Name: "d", Value: trefoil.BooleanValue(true)},
				{Name: "e", Value: trefoil.BooleanValue(false)},
				{Name: "f", Value: text(`x, y="z" \ 1`)},
			},
		},
		`my\ meas\,ure,tag\ key=a\=b\,c fie\,ld="" -5`: {
			Measurement: "my meas,ure", Tags: map[string]string{"tag key": "a=b,c"}, Time: -5, Timed: true,
			Fields: []lineprotocol.Field{{Name: "fie,ld", Value: text("")}},
		},
		`# comment`: {},
		``:          {},
	} {
		got, err := lineprotocol.Parse(line)
		if d := cmp.Diff(want, got, byValue); d != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", line, err, d)
		}
	}
}

func TestLinesThatAreNoneSayWhy(t *testing.T) {
	for _, line := range []string{"m", "m ", ",a=b x=1", "m,a x=1", "m,a= x=1", "m x", "m x=", "m =1", `m x="a`, "m x=abc", "m x=1 soon", "m x=NaN", "m x=1i2 5"} {
		if got, err := lineprotocol.Parse(line); trefoil.CodeOf(err) != trefoil.CodeInvalid {
			t.Errorf("%q: got %+v, %v; want an error", line, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`m,a=b x=1,y="z\"" 5`)
	f.Fuzz(func(t *testing.T, line string) {
		p, err := lineprotocol.Parse(line)
		for _, x := range p.Fields {
			if err == nil && x.Value.Kind() == 0 {
				t.Errorf("field %q has no value", x.Name)
			}
		}
	})
}
