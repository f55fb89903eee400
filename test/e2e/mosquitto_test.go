package e2e

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// versions are the protocols as mosquitto's clients name them.
var versions = []string{"mqttv311", "mqttv5"}

// result is how a foreign program ended.
type result struct {
	output string
	code   int
}

// program runs a foreign program to its end.
func (r *rig) program(name string, args ...string) result {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatalf("%s: %v; make test installs what is missing", name, err)
	}
	if ctx.Err() != nil {
		r.t.Fatalf("%s did not end in %s; its output:\n%s", name, patience, out)
	}
	res := result{output: string(out)}
	if exit != nil {
		res.code = exit.ExitCode()
	}
	return res
}

// as gives the arguments with which mosquitto's clients log in as the device.
func (r *rig) as(d trefoiltest.Device, version string) []string {
	r.t.Helper()
	host, port, err := net.SplitHostPort(r.MQTT)
	if err != nil {
		r.t.Fatal(err)
	}
	return []string{"-h", host, "-p", port, "-V", version, "-u", d.ID, "-P", d.Token}
}

// publish publishes with mosquitto_pub and wants it to succeed.
func (r *rig) publish(d trefoiltest.Device, version, topic, payload string, more ...string) {
	r.t.Helper()
	args := append(r.as(d, version), "-q", "1", "-t", topic, "-m", payload)
	if res := r.program("mosquitto_pub", append(args, more...)...); res.code != 0 {
		r.t.Fatalf("mosquitto_pub -t %s: exit code %d: %s", topic, res.code, res.output)
	}
}

// subscription is a running mosquitto_sub that the broker has accepted.
type subscription struct {
	t     *testing.T
	lines chan string // of its output, without its debug lines
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has written everything
}

// subscribe starts mosquitto_sub and waits for the SUBACK.
func (r *rig) subscribe(d trefoiltest.Device, version, filter string, more ...string) *subscription {
	r.t.Helper()
	// stdbuf: mosquitto_sub would keep its debug lines until there are many.
	args := append([]string{"-oL", "mosquitto_sub"}, r.as(d, version)...)
	args = append(args, "-d", "-q", "1", "-t", filter, "-F", "%t %r %p")
	cmd := exec.Command("stdbuf", append(args, more...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	s := &subscription{t: r.t, lines: make(chan string, 1000), cmd: cmd, ended: make(chan struct{})}
	accepted := make(chan struct{})
	go s.read(out, accepted)
	r.t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-s.ended
		_ = cmd.Wait() // killed
	})
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case <-accepted:
	case <-s.ended:
		r.t.Fatalf("mosquitto_sub -t %s ended without a SUBACK", filter)
	case <-limit.C:
		r.t.Fatalf("mosquitto_sub -t %s got no SUBACK in %s", filter, patience)
	}
	return s
}

func (s *subscription) read(out io.Reader, accepted chan<- struct{}) {
	defer close(s.ended)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "Subscribed (mid:"):
			close(accepted)
		case strings.HasPrefix(line, "Client "): // debug output
		default:
			s.lines <- line
		}
	}
}

// next is the next message, "topic retained payload".
func (s *subscription) next() string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	select {
	case line := <-s.lines:
		return line
	case <-ctx.Done():
		s.t.Fatal("no message came to the subscriber")
		return ""
	}
}

func TestMosquittoPublishesAndTheReadingIsInHistory(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	for _, version := range versions {
		for _, qos := range []string{"0", "1"} {
			t.Run(version+" QoS "+qos, func(t *testing.T) {
				r := r.in(t)
				d := r.device(version + "-" + qos)
				r.publish(d, version, "devices/"+d.ID+"/telemetry", `{"temperature":21.5,"door":"open","on":true}`, "-q", qos)
				for metric, want := range map[string]any{"temperature": 21.5, "door": "open", "on": true} {
					await(t, metric+" in history", func() bool { return len(r.history(d.ID, metric).V) == 1 })
					if got := r.history(d.ID, metric).V[0]; got != want {
						t.Errorf("%s: got %v, want %v", metric, got, want)
					}
				}
			})
		}
	}
}

func TestAPlainValueBelowItsMetricIsAReading(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("plain")
	r.publish(d, "mqttv311", "devices/plain/telemetry/level", "17.25")
	if got := r.history("plain", "level").V; len(got) != 1 || got[0] != 17.25 {
		t.Errorf("history: got %v, want [17.25]", got)
	}
}

func TestADeviceSubscribesBelowItsOwnTopics(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			r := r.in(t)
			d := r.device("self-" + version)
			s := r.subscribe(d, version, "devices/"+d.ID+"/telemetry")
			r.publish(d, version, "devices/"+d.ID+"/telemetry", `{"v":1}`)
			if got, want := s.next(), "devices/"+d.ID+`/telemetry 0 {"v":1}`; got != want {
				t.Errorf("subscriber: got %q, want %q", got, want)
			}
		})
	}
}

func TestTheStatusOfADeviceIsRetained(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			r := r.in(t)
			d := r.device("status-" + version)
			topic := "devices/" + d.ID + "/status"
			r.subscribe(d, version, topic, "-i", "first").next() // written by now
			got := r.subscribe(d, version, topic, "-i", "second").next()
			if !strings.HasPrefix(got, "devices/"+d.ID+"/status 1 ") || !strings.Contains(got, "online") {
				t.Errorf("status: got %q, want a retained message that says online", got)
			}
		})
	}
}

func TestARetainedMessageWaitsForItsSubscriber(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			r := r.in(t)
			d := r.device("retained-" + version)
			topic := "devices/" + d.ID + "/telemetry"
			r.publish(d, version, topic, `{"kept":7}`, "-r")
			if got, want := r.subscribe(d, version, topic).next(), topic+` 1 {"kept":7}`; got != want {
				t.Errorf("subscriber: got %q, want %q", got, want)
			}
		})
	}
}

func TestAWillIsPublishedWhenTheConnectionIsLost(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			r := r.in(t)
			d := r.device("will-" + version)
			topic := "devices/" + d.ID + "/telemetry"
			dying := r.subscribe(d, version, "devices/"+d.ID+"/status", "-i", d.ID+"-dying",
				"--will-topic", topic, "--will-qos", "1", "--will-payload", `{"last":1}`)
			r.awaitPresence(d.ID, true)
			if err := dying.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			await(t, "the reading of the will", func() bool { return len(r.history(d.ID, "last").V) == 1 })
			if got := r.awaitPresence(d.ID, false).Presence.Reason; got != "connection lost" {
				t.Errorf("reason of the presence: got %q, want %q", got, "connection lost")
			}
		})
	}
}

func TestAWrongPasswordIsRefused(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("locked")
	for _, version := range versions {
		for name, wrong := range map[string]trefoiltest.Device{
			"wrong token":    {ID: d.ID, Token: "not-" + d.Token},
			"empty token":    {ID: d.ID, Token: ""},
			"unknown device": {ID: "nobody", Token: d.Token},
		} {
			t.Run(version+" "+name, func(t *testing.T) {
				r := r.in(t)
				args := append(r.as(wrong, version), "-q", "1", "-t", "devices/locked/telemetry", "-m", `{"v":1}`)
				if res := r.program("mosquitto_pub", args...); res.code == 0 {
					t.Errorf("mosquitto_pub ended with 0, want a refusal; output: %s", res.output)
				}
			})
		}
	}
	if got := r.history("locked", "v").V; len(got) != 0 {
		t.Errorf("history: got %v, want nothing stored", got)
	}
}
