package e2e

import (
	"errors"
	"fmt"
	"os/exec"
	"testing"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
	"github.com/trefoil-iot/trefoil/test/wire"
)

// limitFiles lets no file of the server grow beyond bytes, "unlimited" to end
// that. For the server it looks like a disk that is full.
func (r *rig) limitFiles(bytes string) {
	r.t.Helper()
	args := []string{"--pid", fmt.Sprint(r.PID), "--fsize=" + bytes + ":unlimited"}
	if out, err := exec.Command("prlimit", args...).CombinedOutput(); err != nil {
		r.t.Fatalf("prlimit: %v: %s", err, out)
	}
}

func TestAFullDiskAcksNothingAndRecoversWithoutARestart(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	c := r.connect(r.device("patient"), wire.V5)
	publish := func(n uint16) {
		send(t, c, wire.AppendPublish(nil, wire.Publish{
			Version: wire.V5, QoS: 1, ID: n, Topic: "devices/patient/telemetry", Payload: fmt.Appendf(nil, `{"n":%d}`, n),
		}))
	}
	publish(1)
	receive(t, c, puback)

	r.limitFiles("1")
	publish(2)
	var refused *trefoiltest.StatusError
	await(t, "/readyz to be 503", func() bool {
		err := r.admin.Call(t.Context(), "GET", "/readyz", nil, nil)
		return errors.As(err, &refused) && refused.Status == 503
	})
	if got := r.stored("patient"); len(got) != 1 {
		t.Errorf("stored while the disk is full: got %v, want only what was stored before", got)
	}

	r.limitFiles("unlimited")
	if ack := receive(t, c, puback); ack.ID() != 2 || ack.Reason() >= 0x80 {
		t.Errorf("got PUBACK %d with reason %#x after the disk had room again, want 2 without an error", ack.ID(), ack.Reason())
	}
	await(t, "/readyz to be 200", func() bool { return r.admin.Call(t.Context(), "GET", "/readyz", nil, nil) == nil })
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := r.restart().stored("patient"); len(got) != 2 {
		t.Errorf("stored: got %v, want 1 and 2", got)
	}
}
