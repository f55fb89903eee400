package api

import (
	"context"
	"net/http"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/auth"
	"github.com/trefoil-iot/trefoil/internal/live"
)

type userDoc struct {
	Name string    `json:"name"`
	Role auth.Role `json:"role" enum:"viewer,operator,administrator"`
}

func userOf(p auth.Principal) userDoc { return userDoc{Name: p.Name, Role: p.Role} }

type sessionDoc struct {
	Token   string    `json:"token" doc:"For Authorization: Bearer"`
	User    userDoc   `json:"user"`
	Expires time.Time `json:"expires" doc:"Unless the session is used before"`
}

type loginInput struct {
	Body loginDoc
}

type loginDoc struct {
	Username string `json:"username" minLength:"1" maxLength:"64"`
	Password string `json:"password" minLength:"1" maxLength:"1024" format:"password"`
}

type loginOutput struct {
	Cookie string `header:"Set-Cookie"`
	Body   sessionDoc
}

func (s *server) login(ctx context.Context, in *loginInput) (*loginOutput, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	c := callerOf(ctx)
	session, err := s.Accounts.Login(ctx, auth.Login{
		Name: in.Body.Username, Password: in.Body.Password, From: c.from, Agent: c.agent,
	})
	if err != nil {
		return nil, err
	}
	return &loginOutput{
		Cookie: cookieOf(session.Token, c.secure).String(),
		Body:   sessionDoc{Token: session.Token, User: userOf(session.User), Expires: session.Expires},
	}, nil
}

func cookieOf(token string, secure bool) *http.Cookie {
	return &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", MaxAge: int(auth.SessionLife.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure,
	}
}

type linkInput struct {
	Ticket string `query:"ticket" required:"true" maxLength:"100"`
}

type redirectOutput struct {
	Location string `header:"Location"`
	Cookie   string `header:"Set-Cookie"`
}

// loginLink always leads to a page, because a person has followed it.
func (s *server) loginLink(ctx context.Context, in *linkInput) (*redirectOutput, error) {
	c := callerOf(ctx)
	session, err := s.Accounts.Redeem(ctx, in.Ticket, c.agent)
	switch {
	case err == nil:
		return &redirectOutput{Location: "/", Cookie: cookieOf(session.Token, c.secure).String()}, nil
	case c.Kind == auth.User:
		return &redirectOutput{Location: "/"}, nil
	case trefoil.CodeOf(err) == trefoil.CodeUnauthorized:
		return &redirectOutput{Location: "/login?expired=1"}, nil
	default:
		return nil, err
	}
}

type logoutOutput struct {
	Cookie string `header:"Set-Cookie"`
}

func (s *server) logout(ctx context.Context, _ *struct{}) (*logoutOutput, error) {
	c := callerOf(ctx)
	if c.token != "" {
		if err := s.Accounts.Logout(ctx, c.token); err != nil {
			return nil, err
		}
		if s.Live != nil {
			credential := credentialOf(c.token)
			s.Live.Kick(func(who live.Identity) bool { return who.Credential == credential })
		}
	}
	gone := cookieOf("", c.secure)
	gone.MaxAge = -1
	return &logoutOutput{Cookie: gone.String()}, nil
}

type meOutput struct {
	Cookie string `header:"Set-Cookie"`
	Body   userDoc
}

// me also renews the cookie, so that a browser that is used keeps it.
func (s *server) me(ctx context.Context, _ *struct{}) (*meOutput, error) {
	c := callerOf(ctx)
	out := &meOutput{Body: userOf(c.Principal)}
	if c.cookie {
		out.Cookie = cookieOf(c.token, c.secure).String()
	}
	return out, nil
}
