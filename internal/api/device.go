package api

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/journal"
	"github.com/trefoil-iot/trefoil/internal/registry"
)

// Devices are the devices.
type Devices interface {
	Find(id trefoil.DeviceID) (trefoil.Device, error)
	List(q registry.Query) registry.Page
	Create(ctx context.Context, n registry.NewDevice) (trefoil.Device, string, error)
	Update(ctx context.Context, id trefoil.DeviceID, c registry.DeviceChange) (trefoil.Device, error)
	Delete(ctx context.Context, id trefoil.DeviceID) error
	NewToken(ctx context.Context, id trefoil.DeviceID) (string, error)
}

// DeviceDoc is a device as clients see it. It is exported only because it is
// embedded: encoders look into no other embedded fields.
type DeviceDoc struct {
	ID       trefoil.DeviceID  `json:"id" example:"pump-7"`
	Name     string            `json:"name" example:"Pump 7"`
	Tags     map[string]string `json:"tags" example:"{\"site\":\"roanoke\"}"`
	Profile  string            `json:"profile" doc:"Name of a profile, or empty"`
	Online   bool              `json:"online"`
	Presence presenceDoc       `json:"presence"`
	Created  time.Time         `json:"created"`
	Updated  time.Time         `json:"updated"`
	Latest   map[string]point  `json:"latest,omitempty" doc:"Latest reading by metric, if asked for"`

	Explanation string `json:"explanation,omitempty" doc:"Why it is offline, or since when and from where it is online; left out in lists"`
}

type presenceDoc struct {
	Online bool      `json:"online"`
	Reason string    `json:"reason" doc:"Why it is as it is; empty before the first connection"`
	Since  time.Time `json:"since,omitzero" doc:"Left out before the first connection"`
}

func documentOf(d trefoil.Device) DeviceDoc {
	p := presenceDoc{Online: d.Presence.Online, Reason: d.Presence.Reason}
	if d.Presence.Since != 0 {
		p.Since = d.Presence.Since.Time()
	}
	return DeviceDoc{
		ID: d.ID, Name: d.Name, Tags: d.Tags, Profile: d.Profile, Online: p.Online, Presence: p,
		Created: d.Created.Time(), Updated: d.Updated.Time(),
	}
}

// tagsInput documents the two ways to write tags.
type tagsInput trefoil.Tags

func (t *tagsInput) UnmarshalJSON(b []byte) error { return (*trefoil.Tags)(t).UnmarshalJSON(b) }

func (tagsInput) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Description: `An object such as {"site":"roanoke"}, or a list such as ["site:roanoke"]`,
		OneOf: []*huma.Schema{
			{Type: huma.TypeObject, AdditionalProperties: &huma.Schema{Type: huma.TypeString}},
			{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}},
		},
	}
}

type devicePath struct {
	ID trefoil.DeviceID `path:"id" maxLength:"64"`
}

type deviceOutput struct {
	Body DeviceDoc
}

type listInput struct {
	Text   string   `query:"q" maxLength:"200" doc:"Part of id, name, profile or a tag"`
	Tags   []string `query:"tag,explode" nullable:"false" maxItems:"32" doc:"key:value or key; repeated: all of them"`
	Online string   `query:"online" enum:"true,false" doc:"Only devices that are online, or are not"`
	Latest bool     `query:"latest" doc:"With the latest reading of every metric"`
	Limit  int      `query:"limit" minimum:"1" maximum:"1000" default:"50"`
	Cursor string   `query:"cursor" maxLength:"200" doc:"From next of the page before"`
}

type devicePageDoc struct {
	Items []DeviceDoc `json:"items" nullable:"false" doc:"In ascending order of id"`
	Next  string      `json:"next,omitempty" doc:"Cursor of the next page; left out on the last one"`
	Total int         `json:"total" doc:"Devices that match, on all pages"`
}

type listOutput struct {
	Body devicePageDoc
}

func (s *server) listDevices(ctx context.Context, in *listInput) (*listOutput, error) {
	after, err := base64.RawURLEncoding.DecodeString(in.Cursor)
	if err != nil {
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "query.cursor: not a cursor of this list; leave it out to start again")
	}
	q := registry.Query{Text: in.Text, Tags: in.Tags, Limit: in.Limit, After: trefoil.DeviceID(after)}
	if in.Online != "" {
		online := in.Online == "true"
		q.Online = &online
	}
	page := s.Devices.List(q)
	out := &listOutput{Body: devicePageDoc{
		Items: make([]DeviceDoc, len(page.Devices)),
		Next:  base64.RawURLEncoding.EncodeToString([]byte(page.Next)),
		Total: page.Total,
	}}
	for i, d := range page.Devices {
		out.Body.Items[i] = documentOf(d)
		if !in.Latest {
			continue
		}
		if out.Body.Items[i].Latest, err = s.latestOf(ctx, d.ID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

type createInput struct {
	Body deviceInputDoc
}

type deviceInputDoc struct {
	ID      string    `json:"id,omitempty" doc:"1 to 64 of A-Z a-z 0-9 . _ - without a dot at the start; generated if left out"`
	Name    string    `json:"name,omitempty" doc:"For people; the id if left out"`
	Tags    tagsInput `json:"tags,omitempty"`
	Profile string    `json:"profile,omitempty" doc:"Name of a profile"`
}

type newDeviceDoc struct {
	DeviceDoc
	Token string `json:"token" doc:"What the device logs in with; shown this once"`
}

type createOutput struct {
	Location string `header:"Location"`
	Body     newDeviceDoc
}

func (s *server) createDevice(ctx context.Context, in *createInput) (*createOutput, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	d, token, err := s.Devices.Create(ctx, registry.NewDevice{
		ID: trefoil.DeviceID(in.Body.ID), Name: in.Body.Name, Tags: trefoil.Tags(in.Body.Tags), Profile: in.Body.Profile,
	})
	if err != nil {
		return nil, err
	}
	doc := documentOf(d)
	doc.Explanation = journal.Explain(d, nil, s.Now())
	return &createOutput{
		Location: "/api/v1/devices/" + string(d.ID),
		Body:     newDeviceDoc{DeviceDoc: doc, Token: token},
	}, nil
}

func (s *server) findDevice(ctx context.Context, in *devicePath) (*deviceOutput, error) {
	d, err := s.Devices.Find(in.ID)
	if err != nil {
		return nil, err
	}
	doc, err := s.explained(ctx, d)
	if err != nil {
		return nil, err
	}
	return &deviceOutput{Body: doc}, nil
}

type changeInput struct {
	ID   trefoil.DeviceID `path:"id" maxLength:"64"`
	Body deviceChangeDoc
}

type deviceChangeDoc struct {
	Name    *string    `json:"name,omitempty" doc:"Empty: the id"`
	Tags    *tagsInput `json:"tags,omitempty"`
	Profile *string    `json:"profile,omitempty" doc:"Empty: none"`
}

func (s *server) changeDevice(ctx context.Context, in *changeInput) (*deviceOutput, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	c := registry.DeviceChange{Name: in.Body.Name, Tags: (*trefoil.Tags)(in.Body.Tags), Profile: in.Body.Profile}
	d, err := s.Devices.Update(ctx, in.ID, c)
	if err != nil {
		return nil, err
	}
	doc, err := s.explained(ctx, d)
	if err != nil {
		return nil, err
	}
	return &deviceOutput{Body: doc}, nil
}

func (s *server) deleteDevice(ctx context.Context, in *devicePath) (*struct{}, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	return nil, s.Devices.Delete(ctx, in.ID)
}

type tokenOutput struct {
	Body tokenDoc
}

type tokenDoc struct {
	Token string `json:"token" doc:"What the device logs in with; shown this once"`
}

func (s *server) newToken(ctx context.Context, in *devicePath) (*tokenOutput, error) {
	if err := s.ready(); err != nil {
		return nil, err
	}
	token, err := s.Devices.NewToken(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return &tokenOutput{Body: tokenDoc{Token: token}}, nil
}
