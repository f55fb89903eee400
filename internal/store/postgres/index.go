package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/trefoil-iot/trefoil"
)

// known is what the commit loop knows about the database, so that appending
// asks it nothing. It is read again after every fault, and when another
// process has dropped series.
type known struct {
	devices    map[trefoil.DeviceID]*device
	partitions []partition // ascending
	drops      int64       // of commit_state
}

// serie is one series; id is 0 until it is in the database. It is fresh while
// the transaction that makes it goes on: then it may have no latest reading.
type serie struct {
	id     int64
	fresh  bool
	device trefoil.DeviceID
	metric string
}

// device holds the series of one device. It is never changed; a device that
// gets a series is replaced. The nil *device has no series.
type device struct {
	series   []*serie
	byMetric map[string]*serie // nil while there are few
}

// fewSeries is the number of series up to which looking at each is quicker
// than a map.
const fewSeries = 16

func newDevice(list []*serie) *device {
	d := &device{series: list}
	if len(list) > fewSeries {
		d.byMetric = make(map[string]*serie, len(list))
		for _, x := range list {
			d.byMetric[x.metric] = x
		}
	}
	return d
}

func (d *device) list() []*serie {
	if d == nil {
		return nil
	}
	return d.series
}

// find gives the series of a metric and its place, or nil and hint. A message
// mostly names its metrics in the order of the one before, so the place after
// the previous one is a good hint.
func (d *device) find(metric string, hint int) (*serie, int) {
	if d == nil {
		return nil, hint
	}
	if hint < len(d.series) && d.series[hint].metric == metric {
		return d.series[hint], hint
	}
	if d.byMetric != nil {
		return d.byMetric[metric], hint
	}
	for i, x := range d.series {
		if x.metric == metric {
			return x, i
		}
	}
	return nil, hint
}

// change is what a transaction does to what is known.
type change struct {
	devices    map[trefoil.DeviceID]*device // as they will be; nil: none
	partitions []partition                  // made in the transaction
	dropped    bool                         // series were dropped
}

func (c change) clone() change {
	return change{devices: maps.Clone(c.devices), partitions: slices.Clone(c.partitions), dropped: c.dropped}
}

func (c *change) set(id trefoil.DeviceID, d *device) {
	if c.devices == nil {
		c.devices = map[trefoil.DeviceID]*device{}
	}
	c.devices[id] = d
}

// apply takes over what a committed transaction changed.
func (k *known) apply(c change) {
	for id, d := range c.devices {
		if d == nil {
			delete(k.devices, id)
		} else {
			k.devices[id] = d
		}
	}
	for _, p := range c.partitions {
		k.partitions = insertPartition(k.partitions, p)
	}
	if c.dropped {
		k.drops++
	}
}

// load reads what is known from the database.
func (s *Store) load(ctx context.Context) error {
	k := known{devices: map[trefoil.DeviceID]*device{}}
	// Before the series: a drop in between is noticed by the next commit.
	if err := s.writer.conn.QueryRowContext(ctx, "select drops from commit_state").Scan(&k.drops); err != nil {
		return fmt.Errorf("read the state of commits: %w", err)
	}
	if err := s.loadSeries(ctx, &k); err != nil {
		return fmt.Errorf("read the series: %w", err)
	}
	if err := s.loadPartitions(ctx, &k); err != nil {
		return fmt.Errorf("read the partitions: %w", err)
	}
	s.known = k
	return nil
}

func (s *Store) loadSeries(ctx context.Context, k *known) error {
	rows, err := s.writer.conn.QueryContext(ctx, "select id, device, metric from series order by device, id")
	if err != nil {
		return err
	}
	defer rows.Close()
	var list []*serie
	flush := func() {
		if len(list) > 0 {
			k.devices[list[0].device] = newDevice(slices.Clone(list))
		}
		list = list[:0]
	}
	for rows.Next() {
		x := &serie{}
		if err := rows.Scan(&x.id, &x.device, &x.metric); err != nil {
			return err
		}
		if len(list) > 0 && list[0].device != x.device {
			flush()
		}
		list = append(list, x)
	}
	flush()
	return rows.Err()
}
