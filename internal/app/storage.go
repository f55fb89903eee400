package app

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/api"
	"github.com/trefoil-iot/trefoil/internal/registry"
	"github.com/trefoil-iot/trefoil/internal/storage"
	"github.com/trefoil-iot/trefoil/internal/store"
)

// retentionOptions let the store ask how long readings are kept. It asks only
// after the commit loop runs, when the registry is there.
func (a *App) retentionOptions(o store.Options) store.Options {
	otherwise := registry.Rule(a.config.Retain.Raw, a.config.Retain.Hourly)
	o.Keep = func(id trefoil.DeviceID, metric string) store.Retention {
		return a.registry.Keep(id, metric, otherwise)
	}
	o.MaxDisk = a.config.Retain.MaxDisk
	o.Disk = a.disk()
	return o
}

// disk tells about the disk of the data directory; nil where the database is
// elsewhere.
func (a *App) disk() func() (store.Disk, error) {
	if a.config.Store.URL != "sqlite" {
		return nil
	}
	return func() (store.Disk, error) { return storage.DiskOf(a.config.Data) }
}

// copier is the database where it can be copied while it is used, else nil.
func (a *App) copier() api.Copier {
	c, ok := a.store.(api.Copier)
	if !ok {
		return nil
	}
	return c
}

// openStorage measures the database from now on, and makes backups if that is
// asked for.
func (a *App) openStorage(context.Context) error {
	a.meter = storage.New(storage.Options{Store: a.store, Writer: a.loop, Disk: a.disk(), Now: a.now, Log: a.log})
	a.life.background("sizes of days", a.meter.Run)
	if a.config.Backup.Directory == "" {
		return nil
	}
	c := a.copier()
	if c == nil {
		return trefoil.Errorf(trefoil.CodeInvalid, "backup.directory is set and the database is PostgreSQL; leave it out and make backups with pg_dump")
	}
	a.backups = storage.NewBackups(storage.Plan{
		Directory: a.config.Backup.Directory, Every: a.config.Backup.Every, Keep: a.config.Backup.Keep,
		Copier: c, Now: a.now, Log: a.log,
	})
	a.life.background("scheduled backups", a.backups.Run)
	a.metrics.Gauge("trefoil_backup_age_seconds", "Time since the last scheduled backup was begun; -1 before the first.", func() float64 {
		last, _ := a.backups.Last()
		if last.Time.IsZero() {
			return -1
		}
		return a.now().Sub(last.Time).Seconds()
	})
	return nil
}

// space is what the API asks about the disk.
type space struct{ *App }

// Report tells where the disk goes.
func (a space) Report(ctx context.Context) (storage.Report, error) { return a.meter.Report(ctx) }

// Backup tells about the schedule of backups.
func (a space) Backup() api.BackupInfo {
	if a.backups == nil {
		return api.BackupInfo{}
	}
	plan := a.config.Backup
	info := api.BackupInfo{Directory: plan.Directory, Every: trefoil.Span(plan.Every).String(), Keep: plan.Keep}
	last, err := a.backups.Last()
	if !last.Time.IsZero() {
		info.Last, info.LastBytes = &last.Time, last.Bytes
	}
	if err != nil {
		info.Fault = err.Error()
	}
	return info
}

// Rules are the retention in force.
func (a space) Rules() []api.RetentionRule {
	retain := a.config.Retain
	list := []api.RetentionRule{rule("", "", spanText(retain.Raw), spanText(retain.Hourly))}
	for _, p := range a.registry.Profiles() {
		if p.Retention != nil {
			list = append(list, rule(p.Name, "", p.Retention.Raw, p.Retention.Hourly))
		}
		for _, name := range slices.Sorted(maps.Keys(p.Metrics)) {
			if r := p.Metrics[name].Retention; r != nil {
				list = append(list, rule(p.Name, name, r.Raw, r.Hourly))
			}
		}
	}
	return list
}

func rule(profile, metric, raw, hourly string) api.RetentionRule {
	return api.RetentionRule{Profile: profile, Metric: metric, Raw: cmp.Or(raw, "forever"), Hourly: cmp.Or(hourly, "none")}
}

func spanText(s trefoil.Span) string {
	if s == 0 {
		return ""
	}
	return s.String()
}
