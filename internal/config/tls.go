package config

import (
	"cmp"
	"fmt"
)

// tls checks that what belongs together is there together. Whether the files
// are good is found out by who reads them.
func (l *loader) tls() {
	t := l.config.MQTT.TLS
	l.pair("http.tls", l.config.HTTP.TLS)
	l.pair("mqtt.tls", t.Pair)
	l.listener(t)
	switch asked := t.ClientCertificates != "none"; {
	case asked && t.ClientCA == "":
		l.missing("mqtt.tls.client_ca", "mqtt.tls.client_certificates", "the file of the authorities that sign devices' certificates")
	case !asked && t.ClientCA != "":
		l.missing("mqtt.tls.client_certificates", "mqtt.tls.client_ca", "optional or required; otherwise no device is asked for a certificate")
	}
}

// pair wants both files, or none.
func (l *loader) pair(section string, p Pair) {
	switch {
	case p.Certificate != "" && p.Key == "":
		l.missing(section+".key", section+".certificate", "the file of the certificate's private key")
	case p.Certificate == "" && p.Key != "":
		l.missing(section+".certificate", section+".key", "the file of the certificate that the key belongs to")
	}
}

// listener wants an address where there is a certificate, and the other way
// round.
func (l *loader) listener(t MQTTTLS) {
	switch {
	case t.Address != "" && t.Pair == Pair{}:
		l.missing("mqtt.tls.certificate", "mqtt.tls.address", "the file of a certificate, and mqtt.tls.key for its private key")
	case t.Address == "" && t.Certificate != "" && t.Key != "":
		l.missing("mqtt.tls.address", "mqtt.tls.certificate", "an address such as :8883")
	}
}

// missing is about a setting that another one needs.
func (l *loader) missing(key, because, want string) {
	l.fault(cmp.Or(l.origins[because], l.origins[key]), key, fmt.Sprintf("is needed because of %s; allowed: %s", because, want))
}
