// Package mqtt is an MQTT 3.1.1 and 5.0 server to build into a program.
package mqtt
