package api

import (
	"context"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/registry"
)

// Profiles are the kinds of devices.
type Profiles interface {
	Profiles() []registry.Profile
	Profile(name string) (registry.Profile, error)
	PutProfile(ctx context.Context, p registry.Profile) error
	DeleteProfile(ctx context.Context, name string) error
}

type profilePath struct {
	Name string `path:"name" maxLength:"64"`
}

type profileOutput struct {
	Body registry.Profile
}

type profileListOutput struct {
	Body profileListDoc
}

type profileListDoc struct {
	Items []registry.Profile `json:"items" nullable:"false"`
}

func (s *server) listProfiles(context.Context, *struct{}) (*profileListOutput, error) {
	out := &profileListOutput{}
	out.Body.Items = append([]registry.Profile{}, s.Profiles.Profiles()...)
	return out, nil
}

func (s *server) findProfile(_ context.Context, in *profilePath) (*profileOutput, error) {
	p, err := s.Profiles.Profile(in.Name)
	if err != nil {
		return nil, err
	}
	return &profileOutput{Body: p}, nil
}

type profileInput struct {
	Name string `path:"name" maxLength:"64"`
	Body profileInputDoc
}

type profileInputDoc struct {
	Name        string                     `json:"name,omitempty" doc:"Must be that of the path, if given"`
	Label       string                     `json:"label,omitempty"`
	Description string                     `json:"description,omitempty"`
	Metrics     map[string]registry.Metric `json:"metrics,omitempty"`
	Retention   *registry.Retention        `json:"retention,omitempty"`
}

func (s *server) putProfile(ctx context.Context, in *profileInput) (*profileOutput, error) {
	if in.Body.Name != "" && in.Body.Name != in.Name {
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "body.name is %q and the path says %q; leave it out or make them equal", in.Body.Name, in.Name)
	}
	if err := s.ready(); err != nil {
		return nil, err
	}
	p := registry.Profile{Name: in.Name, Label: in.Body.Label, Description: in.Body.Description, Metrics: in.Body.Metrics, Retention: in.Body.Retention}
	if err := s.Profiles.PutProfile(ctx, p); err != nil {
		return nil, err
	}
	return &profileOutput{Body: p}, nil
}

func (s *server) deleteProfile(ctx context.Context, in *profilePath) (*struct{}, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	return nil, s.Profiles.DeleteProfile(ctx, in.Name)
}
