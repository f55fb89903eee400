package mqtt_test

import (
	"testing"

	"github.com/trefoil-iot/trefoil/mqtt"
	"github.com/trefoil-iot/trefoil/mqtt/sessiontest"
)

func TestMemoryStoreKeepsTheRules(t *testing.T) {
	sessiontest.Run(t, func(*testing.T) sessiontest.Open {
		s := mqtt.NewMemoryStore()
		return func(*testing.T) mqtt.Store { return s }
	})
}
