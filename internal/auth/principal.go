package auth

import (
	"context"

	"github.com/trefoil-iot/trefoil"
)

// Role says what a person may do. Every role may do what the ones before it
// may.
type Role string

// The roles, the least first.
const (
	Viewer        Role = "viewer"        // sees everything
	Operator      Role = "operator"      // changes devices and profiles
	Administrator Role = "administrator" // everything
)

func (r Role) rank() int {
	switch r {
	case Viewer:
		return 1
	case Operator:
		return 2
	case Administrator:
		return 3
	default:
		return 0
	}
}

// Covers reports whether r may do what need is the role for. An unknown role
// covers nothing.
func (r Role) Covers(need Role) bool { return r.rank() > 0 && r.rank() >= need.rank() }

// PrincipalKind says what a [Principal] is.
type PrincipalKind string

// The kinds. The zero kind is nobody.
const (
	User   PrincipalKind = "user"
	Device PrincipalKind = "device"
)

// Principal is whoever makes a request. The zero Principal is nobody.
type Principal struct {
	Kind   PrincipalKind
	Name   string           // of the account, for a user
	Role   Role             // for a user
	Device trefoil.DeviceID // for a device
}

// May reports whether p is a user whose role covers need.
func (p Principal) May(need Role) bool { return p.Kind == User && p.Role.Covers(need) }

// Is reports whether p is that device.
func (p Principal) Is(device trefoil.DeviceID) bool {
	return p.Kind == Device && p.Device == device
}

type principalKey struct{}

// WithPrincipal gives a context that says who makes the request.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalOf gives the principal of the request, the zero one for nobody.
func PrincipalOf(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}
