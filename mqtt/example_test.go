package mqtt_test

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log"
	"net"
	"strings"
	"sync"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// A broker that lets everybody do everything.
func ExampleNew() {
	ctx := context.Background()
	server, err := mqtt.New(ctx, mqtt.Config{})
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	fmt.Println(server.Shutdown(ctx))
	// Output: <nil>
}

// keys lets a user in who knows a key, to topics below the user's name.
type keys map[string]string

func (k keys) Authenticate(_ context.Context, r *mqtt.ConnectRequest) (mqtt.User, error) {
	key, known := k[r.Username]
	if !known || subtle.ConstantTimeCompare([]byte(key), r.Password) == 0 {
		return mqtt.User{}, &mqtt.Refusal{Reason: packet.BadUserNameOrPassword, Text: "unknown user or wrong key"}
	}
	return mqtt.User{Name: r.Username}, nil
}

func (k keys) Authorize(c *mqtt.Client, _ mqtt.Action, topic string) bool {
	return strings.HasPrefix(topic, c.User.Name+"/")
}

// Who may connect, and what they may do: one refusal each.
func ExampleAuthenticator() {
	ctx := context.Background()
	users := keys{"pump": "s3cret"}
	server, err := mqtt.New(ctx, mqtt.Config{Authenticator: users, Authorizer: users})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(talk(server, &packet.Connect{ClientID: "c", HasUsername: true, Username: "pump"}))
	fmt.Println(talk(server,
		&packet.Connect{ClientID: "c", HasUsername: true, Username: "pump", HasPassword: true, Password: []byte("s3cret")},
		&packet.Publish{QoS: 1, PacketID: 1, Topic: []byte("valve/open")},
	))
	fmt.Println(server.Shutdown(ctx))
	// Output:
	// [Bad User Name or Password]
	// [Success Not authorized]
	// <nil>
}

// A handler that acks when a commit loop has stored a batch of messages. What
// the engine has to keep for them, in.Changes, is in the same transaction.
func ExampleHandler() {
	ctx := context.Background()
	store := mqtt.NewMemoryStore()
	queue := make(chan *mqtt.Inbound, 1000) // bounded: a full one holds back the publishers
	handler := mqtt.HandlerFunc(func(in *mqtt.Inbound) { queue <- in })
	commit := func() {
		for in := range queue {
			fmt.Printf("storing %s %s\n", in.Topic, in.Payload)
			store.Commit(in.Changes, func(err error) {
				if err != nil {
					in.Ack(packet.UnspecifiedError, "not stored, send it again")
					return
				}
				in.Ack(packet.Success, "")
			})
		}
	}
	var loop sync.WaitGroup
	loop.Go(commit)
	server, err := mqtt.New(ctx, mqtt.Config{Handler: handler, Store: store})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(talk(server,
		&packet.Connect{ClientID: "c"},
		&packet.Publish{QoS: 2, PacketID: 1, Topic: []byte("a"), Payload: []byte("21.5")},
	))
	fmt.Println(server.Shutdown(ctx))
	close(queue)
	loop.Wait()
	// Output:
	// storing a 21.5
	// [Success Success]
	// <nil>
}

// journal is a store that keeps sessions in memory and says what it is given,
// as one that writes them to a disk would before it calls done.
type journal struct{ *mqtt.MemoryStore }

func (j journal) Commit(changes []mqtt.Change, done func(error)) {
	for _, c := range changes {
		switch c.Kind {
		case mqtt.SaveSession:
			fmt.Println("session", c.Session.ClientID, "lives for", c.Record.Expiry)
		case mqtt.AddSubscription:
			fmt.Println("session", c.Session.ClientID, "reads", c.Subscription.Filter)
		}
	}
	j.MemoryStore.Commit(changes, done)
}

// What a store is given: changes that become durable together.
func ExampleStore() {
	ctx := context.Background()
	server, err := mqtt.New(ctx, mqtt.Config{Store: journal{mqtt.NewMemoryStore()}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(talk(server,
		&packet.Connect{ClientID: "c", SessionExpiry: 3600},
		&packet.Subscribe{PacketID: 1, Subscriptions: []packet.Subscription{{Filter: "a/#", QoS: 1}}},
		&packet.Disconnect{},
	))
	fmt.Println(server.Shutdown(ctx))
	// Output:
	// session c lives for 1h0m0s
	// session c reads a/#
	// session c lives for 1h0m0s
	// [Success Granted QoS 1]
	// <nil>
}

// talk sends packets and gives the reasons in the answers to them.
func talk(server *mqtt.Server, packets ...packet.Packet) (reasons []packet.ReasonCode) {
	ours, theirs := net.Pipe()
	var served sync.WaitGroup
	served.Go(func() { server.ServeConn(theirs) })
	for _, p := range packets {
		if _, err := ours.Write(p.Append(nil, packet.V5)); err != nil {
			break
		}
		if _, ok := p.(*packet.Disconnect); ok {
			break
		}
		b := make([]byte, 1000)
		n, err := ours.Read(b)
		if err != nil {
			break
		}
		reasons = append(reasons, reasonOf(b[:n])...)
	}
	_ = ours.Close()
	served.Wait()
	return reasons
}

func reasonOf(b []byte) []packet.ReasonCode {
	h, n, err := packet.ParseHeader(b)
	if err != nil {
		return nil
	}
	p, err := packet.Decode(packet.V5, h, b[n:n+h.Length])
	if err != nil {
		return nil
	}
	switch p := p.(type) {
	case *packet.Connack:
		return []packet.ReasonCode{p.Reason}
	case *packet.Ack:
		return []packet.ReasonCode{p.Reason}
	case *packet.Suback:
		return p.Reasons
	default:
		return nil
	}
}
