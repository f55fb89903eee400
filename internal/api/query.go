package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/history"
	"github.com/trefoil-iot/trefoil/internal/registry"
)

type queryDoc struct {
	Devices []trefoil.DeviceID `json:"devices,omitempty" nullable:"false" doc:"Ids; either these or tags, or neither for all devices"`
	Tags    []string           `json:"tags,omitempty" nullable:"false" doc:"key:value or key: devices that have all of them"`
	Metrics []string           `json:"metrics,omitempty" nullable:"false" doc:"Left out: all of them. Devices without one are left out of it"`
	From    string             `json:"from,omitempty" doc:"As in the history of one device"`
	To      string             `json:"to,omitempty"`
	Step    string             `json:"step,omitempty"`
	Agg     []string           `json:"agg,omitempty" nullable:"false"`
	TZ      string             `json:"tz,omitempty"`
	Fill    string             `json:"fill,omitempty"`
	Points  int                `json:"points,omitempty"`
	Limit   int                `json:"limit,omitempty"`
	GroupBy string             `json:"groupBy,omitempty" doc:"device (the default): a series of each; tag:KEY: the devices with the same value of the tag together; none: all devices together. Together needs step"`
	Format  string             `json:"format,omitempty" doc:"json, csv, ndjson or parquet, instead of the Accept header"`
}

func queryBody(r *router) func(*huma.Operation) {
	return func(op *huma.Operation) {
		op.Description = "Groups put all readings of their devices together, as if one device had sent them; rates of counters are added up."
		op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/json": {Schema: r.schema(queryDoc{})},
		}}
	}
}

// query answers a question about many devices.
func (s *server) query(w http.ResponseWriter, r *http.Request) error {
	var in queryDoc
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return trefoil.Errorf(trefoil.CodeInvalid, "body: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	a := asked{
		place: "body", from: in.From, to: in.To, step: in.Step, zone: in.TZ, fill: in.Fill, format: in.Format,
		agg: in.Agg, metrics: in.Metrics, points: in.Points, limit: in.Limit,
	}
	q, err := a.query(s.Now())
	if err != nil {
		return err
	}
	devices, err := s.selected(in)
	if err != nil {
		return err
	}
	if q.Devices, q.Grouped, err = grouped(devices, in.GroupBy); err != nil {
		return err
	}
	profiles := make(map[trefoil.DeviceID]registry.Profile, len(devices))
	groups := make(map[string]registry.Profile) // of their first device
	for i := len(devices) - 1; i >= 0; i-- {
		p := s.profileOf(devices[i])
		profiles[devices[i].ID], groups[q.Devices[i].Group] = p, p
	}
	profile := func(x history.Series) registry.Profile {
		if q.Grouped {
			return groups[x.Group]
		}
		return profiles[x.Device]
	}
	return s.answer(w, r, q, a.tableFormat(r.Header.Get("Accept")), "query", profile)
}

// maxQueryDevices bounds the devices of one query.
const maxQueryDevices = 10_000

// selected finds the devices of a query, by id.
func (s *server) selected(in queryDoc) ([]trefoil.Device, error) {
	if len(in.Devices) > 0 && len(in.Tags) > 0 {
		return nil, trefoil.Errorf(trefoil.CodeInvalid, "body.devices and body.tags exclude each other; give one of them")
	}
	var all []trefoil.Device
	for _, id := range in.Devices {
		d, err := s.Devices.Find(id)
		if err != nil {
			return nil, s.noDevice(id)
		}
		all = append(all, d)
	}
	for q := (registry.Query{Tags: in.Tags, Limit: registry.MaxLimit}); len(in.Devices) == 0; {
		page := s.Devices.List(q)
		all = append(all, page.Devices...)
		if q.After = page.Next; q.After == "" || len(all) > maxQueryDevices {
			break
		}
	}
	if len(all) > maxQueryDevices {
		return nil, tooMuch(trefoil.Errorf(trefoil.CodeTooMany, "the query is about more than %d devices; name fewer, or tags", maxQueryDevices))
	}
	if len(all) == 0 {
		return nil, trefoil.Errorf(trefoil.CodeNotFound, "no device has the tags %s", strings.Join(in.Tags, ", "))
	}
	return all, nil
}

// grouped puts devices into the groups that groupBy asks for.
func grouped(devices []trefoil.Device, groupBy string) (members []history.Member, together bool, err error) {
	key, byTag := strings.CutPrefix(groupBy, "tag:")
	switch {
	case groupBy == "" || groupBy == "device" || groupBy == "none":
	case !byTag || key == "":
		return nil, false, trefoil.Errorf(trefoil.CodeInvalid, "body.groupBy: %q; allowed are device, none, and tag:KEY such as tag:site", groupBy)
	}
	for _, d := range devices {
		m := history.Member{Device: d.ID}
		if byTag {
			m.Group = d.Tags[key]
		}
		members = append(members, m)
	}
	return members, byTag || groupBy == "none", nil
}
