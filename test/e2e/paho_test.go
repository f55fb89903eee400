package e2e

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// python is Debian's own, for which python3-paho-mqtt is installed.
const python = "/usr/bin/python3"

func TestPahoPublishesAndReceives(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	host, port, err := net.SplitHostPort(r.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	for protocol, name := range map[string]string{"4": "3.1.1", "5": "5.0"} {
		t.Run(name, func(t *testing.T) {
			r := r.in(t)
			d := r.device("paho-" + protocol)
			res := r.program(python, "testdata/roundtrip.py", host, port, d.ID, d.Token, protocol)
			if res.code != 0 {
				t.Fatalf("exit code %d: %s", res.code, res.output)
			}
			topic := "devices/" + d.ID + "/telemetry"
			want := `["` + topic + `", "{\"q\": 0, \"r\": false}", 0, false]
["` + topic + `", "{\"q\": 1, \"r\": false}", 1, false]
["` + topic + `", "{\"q\": 1, \"r\": true}", 1, false]
`
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(res.output, "\n")); diff != "" {
				t.Errorf("received (-want +got):\n%s", diff)
			}
			await(t, "three readings", func() bool { return len(r.history(d.ID, "q").V) == 3 })
		})
	}
}
