package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTLSFromTheFile(t *testing.T) {
	write(t, "http:\n  tls: {certificate: a.pem, key: b.pem}\nmqtt:\n  tls:\n    address: :8883\n"+
		"    certificate: c.pem\n    key: d.pem\n    client_ca: e.pem\n    client_certificates: required\n")
	got := load(t, Inputs{Flags: map[string]string{"--mqtts": "127.0.0.1:9883"}}).Config
	want := Default()
	want.HTTP.TLS = Pair{Certificate: "a.pem", Key: "b.pem"}
	want.MQTT.TLS = MQTTTLS{
		Address: "127.0.0.1:9883", Pair: Pair{Certificate: "c.pem", Key: "d.pem"}, ClientCA: "e.pem", ClientCertificates: "required",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestTheEnvironmentTurnsTLSOff(t *testing.T) {
	write(t, "mqtt:\n  tls: {address: ':8883', certificate: c.pem, key: d.pem}\n")
	got := load(t, Inputs{Env: []string{"TREFOIL_MQTTS=off", "TREFOIL_MQTT_TLS_CERTIFICATE=none", "TREFOIL_MQTT_TLS_KEY=none"}}).Config
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

func TestWhatTLSNeedsIsNamed(t *testing.T) {
	for file, want := range map[string]string{
		"http:\n  tls:\n    certificate: a\n":                "trefoil.yaml:3: http.tls.key: is needed because of http.tls.certificate; allowed: the file of the certificate's private key",
		"http:\n  tls:\n    key: a\n":                        "trefoil.yaml:3: http.tls.certificate: is needed because of http.tls.key; allowed: the file of the certificate that the key belongs to",
		"mqtt:\n  tls:\n    address: :1\n":                   "trefoil.yaml:3: mqtt.tls.certificate: is needed because of mqtt.tls.address; allowed: the file of a certificate, and mqtt.tls.key for its private key",
		"mqtt:\n  tls:\n    certificate: a\n    key: b\n":    "trefoil.yaml:3: mqtt.tls.address: is needed because of mqtt.tls.certificate; allowed: an address such as :8883",
		"mqtt:\n  tls:\n    client_ca: a\n":                  "trefoil.yaml:3: mqtt.tls.client_certificates: is needed because of mqtt.tls.client_ca; allowed: optional or required; otherwise no device is asked for a certificate",
		"mqtt:\n  tls:\n    client_certificates: required\n": "trefoil.yaml:3: mqtt.tls.client_ca: is needed because of mqtt.tls.client_certificates; allowed: the file of the authorities that sign devices' certificates",
		"mqtt:\n  tls:\n    address: 8883\n":                 `trefoil.yaml:3: mqtt.tls.address: "8883" is not an address; allowed: [host]:port, e.g. :8080 or 127.0.0.1:8080, or off`,
		"mqtt:\n  tls:\n    client_certificates: yes\n":      `trefoil.yaml:3: mqtt.tls.client_certificates: "yes" is not allowed; allowed: none, optional, required`,
		"mqtt:\n  tls:\n    key: ''\n":                       "trefoil.yaml:3: mqtt.tls.key: is empty; allowed: the path of a file, or none",
	} {
		write(t, file)
		if _, err := Load(Inputs{}); errText(err) != want {
			t.Errorf("%q:\n got: %s\nwant: %s", file, errText(err), want)
		}
	}
}
