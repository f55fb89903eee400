package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/eclipse/paho.golang/paho"
	mqtt3 "github.com/eclipse/paho.mqtt.golang"
	"github.com/google/go-cmp/cmp"

	"github.com/trefoil-iot/trefoil/test/trefoiltest"
)

// transcript is what every foreign client notes in the same conversation; its
// parts are in [talk], and once more in the languages of the clients.
var transcript = []string{
	`{"n":0} QoS 0`, `{"n":1} QoS 1`, `{"n":2} QoS 2`, // to itself
	"session present",
	// From another while it was away, the last one its will. They are sorted,
	// as some clients hand QoS 2 to the program at PUBREL only.
	`{"last":1} QoS 1`, `{"n":11} QoS 1`, `{"n":12} QoS 2`,
	`7 QoS 1 retained`,
}

// A peer is a connection made by the library under test.
type peer interface {
	subscribe(topic string, qos byte) error
	publish(topic, payload string, qos byte, retain bool) error
	disconnect() error
	cut() error // the connection is lost without a DISCONNECT
}

// login says how a peer connects.
type login struct {
	addr, clientID string
	device         trefoiltest.Device
	persistent     bool
	will           string // payload, on the telemetry of the device; "" for none
	received       chan<- string
}

func (l *login) topic() string { return "devices/" + l.device.ID + "/telemetry" }

// note writes down a message as in the transcript.
func note(payload []byte, qos byte, retained bool) string {
	s := fmt.Sprintf("%s QoS %d", payload, qos)
	if retained {
		s += " retained"
	}
	return s
}

// connector makes a connection with a library, and says whether the server had
// its session.
type connector func(context.Context, login) (peer, bool, error)

// talk is a conversation by way of a library.
type talk struct {
	*rig
	ctx     context.Context // ends when patience does
	connect connector
	device  trefoiltest.Device
	inbox   chan string
	noted   []string
}

// conversation has the conversation of the transcript.
func (r *rig) conversation(d trefoiltest.Device, connect connector) []string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	c := &talk{rig: r, ctx: ctx, connect: connect, device: d, inbox: make(chan string, 100)}
	topic := "devices/" + d.ID + "/telemetry"
	c.toItself(topic)
	c.fromAnother(topic)
	c.comeBack(topic)
	return c.noted
}

// must ends the test on an error.
func (c *talk) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("%v; transcript so far: %q", err, c.noted)
	}
}

// hear notes the next message.
func (c *talk) hear() {
	c.t.Helper()
	select {
	case m := <-c.inbox:
		c.noted = append(c.noted, m)
	case <-c.ctx.Done():
		c.must(c.ctx.Err())
	}
}

func (c *talk) lasting() (peer, bool) {
	c.t.Helper()
	p, present, err := c.connect(c.ctx, login{addr: c.MQTT, clientID: "lasting", device: c.device, persistent: true, received: c.inbox})
	c.must(err)
	return p, present
}

func (c *talk) toItself(topic string) {
	c.t.Helper()
	p, _ := c.lasting()
	c.must(p.subscribe(topic, 2))
	for qos := range byte(3) {
		c.must(p.publish(topic, fmt.Sprintf(`{"n":%d}`, qos), qos, false))
		c.hear()
	}
	await(c.t, "the end of all handshakes", func() bool {
		var broker struct{ Queued int }
		c.call("GET", "/api/v1/broker", nil, &broker)
		return broker.Queued == 0
	})
	c.must(p.disconnect())
}

func (c *talk) fromAnother(topic string) {
	c.t.Helper()
	p, _, err := c.connect(c.ctx, login{addr: c.MQTT, clientID: "passing", device: c.device, will: `{"last":1}`, received: c.inbox})
	c.must(err)
	c.must(p.publish(topic, `{"n":11}`, 1, false))
	c.must(p.publish(topic, `{"n":12}`, 2, false))
	c.must(p.publish(topic+"/kept", "7", 1, true))
	c.must(p.cut())
}

func (c *talk) comeBack(topic string) {
	c.t.Helper()
	p, present := c.lasting()
	if present {
		c.noted = append(c.noted, "session present")
	}
	for range 3 {
		c.hear()
	}
	c.must(p.subscribe(topic+"/kept", 1))
	c.hear()
	c.must(p.disconnect())
}

// wantTranscript checks what a foreign client noted, and what is stored.
func (r *rig) wantTranscript(d trefoiltest.Device, got []string) {
	r.t.Helper()
	if len(got) == len(transcript) {
		slices.Sort(got[4:7])
	}
	if diff := cmp.Diff(transcript, got); diff != "" {
		r.t.Errorf("transcript (-want +got):\n%s", diff)
	}
	for metric, want := range map[string]int{"n": 5, "kept": 1, "last": 1} {
		if got := len(r.history(d.ID, metric).V); got != want {
			r.t.Errorf("history of %s: got %d readings, want %d", metric, got, want)
		}
	}
}

func TestPahoForGoHasTheConversationIn311(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("paho-go-3")
	r.wantTranscript(d, r.conversation(d, connectPaho3))
}

func TestPahoForGoHasTheConversationIn5(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	d := r.device("paho-go-5")
	r.wantTranscript(d, r.conversation(d, connectPaho5))
}

func TestPahoForPythonHasTheConversation(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	host, port, err := net.SplitHostPort(r.MQTT)
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range []string{"4", "5"} {
		t.Run("level "+level, func(t *testing.T) {
			r := r.in(t)
			d := r.device("paho-python-" + level)
			res := r.program(python, "testdata/conversation.py", host, port, d.ID, d.Token, level)
			var got []string
			if err := json.Unmarshal([]byte(res.output), &got); err != nil || res.code != 0 {
				t.Fatalf("exit code %d: %s", res.code, res.output)
			}
			r.wantTranscript(d, got)
		})
	}
}

// paho3 is Eclipse's Go client for 3.1.1.
type paho3 struct {
	mqtt3.Client
	conn net.Conn
}

func connectPaho3(ctx context.Context, l login) (peer, bool, error) {
	p := &paho3{}
	o := mqtt3.NewClientOptions().AddBroker("tcp://" + l.addr).SetProtocolVersion(4)
	o.SetClientID(l.clientID).SetUsername(l.device.ID).SetPassword(l.device.Token)
	o.SetCleanSession(!l.persistent).SetAutoReconnect(false)
	if l.will != "" {
		o.SetWill(l.topic(), l.will, 1, false)
	}
	o.SetCustomOpenConnectionFn(func(_ *url.URL, _ mqtt3.ClientOptions) (net.Conn, error) {
		var d net.Dialer
		var err error
		p.conn, err = d.DialContext(ctx, "tcp", l.addr)
		return p.conn, err
	})
	o.SetDefaultPublishHandler(func(_ mqtt3.Client, m mqtt3.Message) {
		l.received <- note(m.Payload(), m.Qos(), m.Retained())
	})
	p.Client = mqtt3.NewClient(o)
	token := p.Connect()
	if err := ended(token); err != nil {
		return nil, false, err
	}
	return p, token.(*mqtt3.ConnectToken).SessionPresent(), nil
}

// ended waits for the end of a step of paho3.
func ended(t mqtt3.Token) error {
	if !t.WaitTimeout(patience) {
		return context.DeadlineExceeded
	}
	return t.Error()
}

func (p *paho3) subscribe(topic string, qos byte) error { return ended(p.Subscribe(topic, qos, nil)) }
func (p *paho3) cut() error                             { return p.conn.Close() }

func (p *paho3) publish(topic, payload string, qos byte, retain bool) error {
	return ended(p.Publish(topic, qos, retain, payload))
}

func (p *paho3) disconnect() error {
	p.Disconnect(100)
	return nil
}

// paho5 is Eclipse's Go client for 5.0.
type paho5 struct {
	*paho.Client
	ctx  context.Context // of the conversation
	conn net.Conn
}

func connectPaho5(ctx context.Context, l login) (peer, bool, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", l.addr)
	if err != nil {
		return nil, false, err
	}
	p := &paho5{ctx: ctx, conn: conn, Client: paho.NewClient(paho.ClientConfig{
		ClientID: l.clientID, Conn: conn,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(m paho.PublishReceived) (bool, error) {
			l.received <- note(m.Packet.Payload, m.Packet.QoS, m.Packet.Retain)
			return true, nil
		}},
	})}
	connect := &paho.Connect{
		ClientID: l.clientID, UsernameFlag: true, Username: l.device.ID, PasswordFlag: true, Password: []byte(l.device.Token),
		KeepAlive: 30, CleanStart: !l.persistent,
	}
	if l.persistent {
		expiry := uint32(300)
		connect.Properties = &paho.ConnectProperties{SessionExpiryInterval: &expiry}
	}
	if l.will != "" {
		connect.WillMessage = &paho.WillMessage{Topic: l.topic(), Payload: []byte(l.will), QoS: 1}
	}
	ack, err := p.Connect(ctx, connect)
	if err != nil {
		return nil, false, err
	}
	return p, ack.SessionPresent, nil
}

func (p *paho5) cut() error { return p.conn.Close() }

func (p *paho5) subscribe(topic string, qos byte) error {
	_, err := p.Subscribe(p.ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: topic, QoS: qos}}})
	return err
}

func (p *paho5) publish(topic, payload string, qos byte, retain bool) error {
	_, err := p.Publish(p.ctx, &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, Retain: retain})
	return err
}

func (p *paho5) disconnect() error { return p.Disconnect(&paho.Disconnect{}) }

func TestMosquittoHasTheConversation(t *testing.T) {
	r := start(t, trefoiltest.Options{})
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			r := r.in(t)
			d := r.device("mosquitto-" + version)
			topic := "devices/" + d.ID + "/telemetry"
			lasting := []string{"-q", "2", "-i", "lasting", "-c", "-F", "%p QoS %q retained=%r"}
			if version == "mqttv5" {
				lasting = append(lasting, "-x", "300")
			}
			var got []string
			hear := func(s *subscription) { got = append(got, heard(s.next())) }

			a := r.subscribe(d, version, topic, lasting...)
			for qos := range 3 {
				r.publish(d, version, topic, fmt.Sprintf(`{"n":%d}`, qos), "-q", fmt.Sprint(qos))
				hear(a)
			}
			a.end(syscall.SIGTERM)
			r.publish(d, version, topic, `{"n":11}`)
			r.publish(d, version, topic, `{"n":12}`, "-q", "2")
			r.publish(d, version, topic+"/kept", "7", "-r")
			passing := r.subscribe(d, version, "devices/"+d.ID+"/errors", "-i", "passing",
				"--will-topic", topic, "--will-qos", "1", "--will-payload", `{"last":1}`)
			passing.end(syscall.SIGKILL)
			await(t, "the will", func() bool { return len(r.history(d.ID, "last").V) == 1 })

			a = r.subscribe(d, version, topic, lasting...)
			got = append(got, "session present") // or nothing would come
			for range 3 {
				hear(a)
			}
			hear(r.subscribe(d, version, topic+"/kept", "-F", "%p QoS %q retained=%r"))
			r.wantTranscript(d, got)
		})
	}
}

// heard makes a line of mosquitto_sub one of the transcript.
func heard(line string) string {
	line = strings.TrimSuffix(line, " retained=0")
	return strings.Replace(line, " retained=1", " retained", 1)
}

// end ends the program and waits until it is gone.
func (s *subscription) end(signal syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
	<-s.ended
}
