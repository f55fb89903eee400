package broker

import (
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/packet"
)

// byCertificate logs in the device that the client's verified certificate
// names. A password does not count then; the registry does: a device that was
// deleted has no way in, however long its certificate is valid.
func (b *Broker) byCertificate(r *mqtt.ConnectRequest) (mqtt.User, error) {
	refuse := func(format string, args ...any) (mqtt.User, error) {
		return mqtt.User{}, &mqtt.Refusal{Reason: packet.NotAuthorized, Text: fmt.Sprintf(format, args...)}
	}
	name := subjectOf(r.TLS.VerifiedChains[0][0])
	id, err := trefoil.ParseDeviceID(name)
	switch {
	case err != nil:
		return refuse("the client certificate names no device: %v", err)
	case !b.Devices.Has(id):
		return refuse("the client certificate is for device %q, which does not exist", id)
	case r.HasUsername && r.Username != name:
		return refuse("the user name is not %q, for which the client certificate is", id)
	default:
		return userOf(id, r), nil
	}
}

// subjectOf gives the name that a certificate is for: the common name of its
// subject, else its first DNS name, else of its first URI what comes behind
// the last slash or colon, as in urn:trefoil:pump-7.
func subjectOf(c *x509.Certificate) string {
	switch {
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.URIs) > 0:
		uri := c.URIs[0].String()
		return uri[strings.LastIndexAny(uri, "/:")+1:]
	default:
		return ""
	}
}
