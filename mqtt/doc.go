// Package mqtt is an MQTT 3.1.1 and 5.0 server to build into a program. Its
// acknowledgements are the program's: a PUBACK leaves when a [Handler] says
// that the message is stored, and never before.
//
// This is a broker, see also the example of [New]:
//
//	server, err := mqtt.New(ctx, mqtt.Config{})
//	if err != nil {
//		return err
//	}
//	listener, err := net.Listen("tcp", ":1883")
//	if err != nil {
//		return err
//	}
//	return server.Serve(listener)
//
// An application gives [Config] what it cares about: an [Authenticator] and an
// [Authorizer] say who may do what, a [Handler] takes what clients publish, a
// [Store] keeps sessions over restarts, an [Observer] hears what happens.
// [Limits] bounds everything that a client can make grow. DESIGN.md says how
// it works and what happens when a queue is full.
package mqtt
