package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/trefoil-iot/trefoil"
)

// create makes the series that m needs and puts them into refs where they are
// nil. Before it writes anything it refuses a message that would give the
// device more metrics than it may have.
func (t *tx) create(m *trefoil.Message, refs []*serie) error {
	d := t.device(m.Device)
	added := map[string]*serie{}
	for i, ref := range refs {
		if name := m.Readings[i].Metric; ref == nil && added[name] == nil {
			added[name] = &serie{metric: strings.Clone(name)}
		}
	}
	if have, limit := len(d.list()), t.s.options.MaxMetrics; have+len(added) > limit {
		return trefoil.Errorf(trefoil.CodeTooMany, "device %s has %d metrics and the message brings %d new ones; at most %d metrics per device are allowed",
			m.Device, have, len(added), limit)
	}
	var list []*serie
	for i := range refs {
		if refs[i] != nil {
			continue
		}
		refs[i] = added[m.Readings[i].Metric]
		if refs[i].id == 0 {
			if err := t.insertSerie(m.Device, refs[i]); err != nil {
				return t.fail(err)
			}
			list = append(list, refs[i])
		}
	}
	if t.change.devices == nil {
		t.change.devices = map[trefoil.DeviceID]*device{}
	}
	t.change.devices[trefoil.DeviceID(strings.Clone(string(m.Device)))] = d.with(list...)
	t.change.added = append(t.change.added, list...)
	return nil
}

func (t *tx) insertSerie(device trefoil.DeviceID, x *serie) error {
	if t.s.nextID > maxSeries {
		return fmt.Errorf("no number is left for another series; %d were made in this database", maxSeries)
	}
	x.id = t.s.nextID
	t.s.nextID++
	if _, err := t.w.insertSeries.Exec(x.id, string(device), x.metric); err != nil {
		return fmt.Errorf("make series %s of device %s: %w", x.metric, device, err)
	}
	return nil
}

// DropSeries removes all series of the device. Their chunks are out of sight
// at once and leave the file with later upkeep.
func (t *tx) DropSeries(ctx context.Context, id trefoil.DeviceID) error {
	if err := t.usable(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err := t.w.exec(ctx, "insert into dropped_series (id) select id from series where device = $1", string(id))
	if err == nil {
		err = t.w.exec(ctx, "delete from series where device = $1", string(id))
	}
	if err != nil {
		return t.fail(fmt.Errorf("drop the series of device %s: %w", id, err))
	}
	if t.change.dropped == nil {
		t.change.dropped = map[*serie]bool{}
	}
	for _, x := range t.device(id).list() {
		t.change.dropped[x] = true
	}
	if t.change.devices == nil {
		t.change.devices = map[trefoil.DeviceID]*device{}
	}
	t.change.devices[id] = nil
	return nil
}
