package packet

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// allocationFactor is the largest number of bytes that decoding may allocate
// for one byte of a packet. The worst are user properties: five bytes on the
// wire make two strings in a slice that grows.
const allocationFactor = 32

// FuzzDecode shows that no bytes make the codec panic or allocate more than in
// proportion to what has arrived, and that what it accepts it writes so that
// it reads the same again.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00"), true)
	f.Add([]byte("\x32\x0a\x00\x03a/b\x00\x01\x00hi"), true)
	f.Add([]byte("\x82\x06\x00\x01\x00\x01#\x00"), false)
	f.Fuzz(func(t *testing.T, data []byte, v5 bool) {
		v := V311
		if v5 {
			v = V5
		}
		h, n, err := ParseHeader(data)
		if err != nil || h.Length > len(data)-n {
			return
		}
		var p Packet
		got := allocated(func() { p, err = Decode(v, h, data[n:n+h.Length]) })
		// The fuzzing engine allocates too: leave room for it.
		if limit := uint64(len(data)*allocationFactor + 1<<20); got > limit {
			t.Errorf("%d bytes in: got %d bytes allocated, want at most %d", len(data), got, limit)
		}
		if err != nil {
			return
		}
		if c, ok := p.(*Connect); ok {
			v = c.Version
		}
		checkWrittenAgain(t, v, p)
	})
}

// allocated gives the number of bytes that the process allocates during fn.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func checkWrittenAgain(t rapid.TB, v Version, p Packet) {
	t.Helper()
	out := p.Append(nil, v)
	h, n, err := ParseHeader(out)
	if err != nil || n+h.Length != len(out) {
		t.Fatalf("%#v written as % x: header %+v, %v", p, out, h, err)
	}
	again, err := Decode(v, h, out[n:])
	if err != nil {
		t.Fatalf("%#v written as % x: got error %v, want none", p, out, err)
	}
	if !reflect.DeepEqual(p, again) {
		t.Fatalf("% x (-first +again):\n%s", out, cmp.Diff(p, again))
	}
	if twice := again.Append(nil, v); !bytes.Equal(out, twice) {
		t.Fatalf("written again:\n got % x\nwant % x", twice, out)
	}
	if pub, ok := p.(*Publish); ok && pub.Size(v) != len(out) {
		t.Fatalf("Size: got %d, want %d", pub.Size(v), len(out))
	}
}

// Random bytes rarely get past the first field; valid packets with a few wrong
// bytes reach every check.
func TestMutatedPacketsAreRefusedOrReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]Version{V311, V5}).Draw(t, "version")
		b := drawPacket(t, v).Append(nil, v)
		h, n, err := ParseHeader(b)
		if err != nil {
			t.Fatal(err)
		}
		body := b[n:]
		for range rapid.IntRange(1, 4).Draw(t, "mutations") {
			if len(body) > 0 {
				body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
		}
		p, err := Decode(v, h, body)
		if err != nil {
			if reason, _ := reasonOf(err); !reason.IsError() {
				t.Fatalf("got %v, want an *Error with a reason", err)
			}
			return
		}
		if c, ok := p.(*Connect); ok {
			v = c.Version
		}
		checkWrittenAgain(t, v, p)
	})
}

// FuzzMatch shows that topic functions take any string, and that a filter
// without wildcards matches itself and nothing longer.
func FuzzMatch(f *testing.F) {
	f.Add("a/+/#", "a/b")
	f.Add("$share/g/#", "$SYS/x")
	f.Fuzz(func(t *testing.T, filter, topic string) {
		Match(filter, topic)
		if ValidateTopic(topic) != nil {
			return
		}
		if !Match(topic, topic) {
			t.Errorf("%q does not match itself", topic)
		}
		if Match(topic, topic+"/") {
			t.Errorf("%q matches %q", topic, topic+"/")
		}
		if topic[0] != '$' && !Match("#", topic) {
			t.Errorf("# does not match %q", topic)
		}
	})
}

func TestDecodingAllocatesInProportionToWhatArrived(t *testing.T) {
	tests := []struct {
		name, head, repeat string
		first              byte
		n                  int
	}{
		{"user properties", "0001 00", "26 0000 0000", 0x40, 4000},
		{"user properties of two bytes", "0001 00", "26 0002'ab' 0002'cd'", 0x40, 4000},
		{"subscription identifiers", "0001'a'", "0B 01", 0x30, 4000},
		{"filters", "0001 00", "0001'a' 00", 0x82, 4000},
		{"filters to leave", "0001 00", "0001'a'", 0xA2, 4000},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := wire(t, tt.head)
			items := bytes.Repeat(wire(t, tt.repeat), tt.n)
			if tt.first>>4 < 8 { // the items are properties
				if tt.first == 0x40 {
					body = append(body[:2], 0)
				}
				body = appendVarint(body, uint32(len(items)))
			}
			body = append(body, items...)
			h := Header{Type: Type(tt.first >> 4), Flags: tt.first & 0xF, Length: len(body)}
			var err error
			got := allocated(func() { _, err = Decode(V5, h, body) })
			if err != nil {
				t.Fatal(err)
			}
			if limit := uint64(len(body) * allocationFactor); got > limit {
				t.Errorf("%d bytes in: got %d bytes allocated, want at most %d", len(body), got, limit)
			}
		})
	}
}
