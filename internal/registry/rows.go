package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

const deviceColumns = "id, name, tags, profile, created, updated, online, presence_reason, presence_since"

func selectDevices(ctx context.Context, q store.Querier) ([]trefoil.Device, error) {
	rows, err := q.QueryContext(ctx, "select "+deviceColumns+" from device")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []trefoil.Device
	for rows.Next() {
		var d trefoil.Device
		var tags string
		p := &d.Presence
		err := rows.Scan(&d.ID, &d.Name, &tags, &d.Profile, &d.Created, &d.Updated, &p.Online, &p.Reason, &p.Since)
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(tags), &d.Tags); err != nil {
			return nil, fmt.Errorf("tags of device %s: %w", d.ID, err)
		}
		all = append(all, d)
	}
	return all, rows.Err()
}

func insertDevice(ctx context.Context, q store.Querier, d trefoil.Device) error {
	tags, err := json.Marshal(d.Tags)
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, "insert into device ("+deviceColumns+") values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		string(d.ID), d.Name, string(tags), d.Profile, int64(d.Created), int64(d.Updated),
		d.Presence.Online, d.Presence.Reason, int64(d.Presence.Since))
	return err
}

func updateDevice(ctx context.Context, q store.Querier, d trefoil.Device) error {
	tags, err := json.Marshal(d.Tags)
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, "update device set name = $2, tags = $3, profile = $4, updated = $5 where id = $1",
		string(d.ID), d.Name, string(tags), d.Profile, int64(d.Updated))
	return err
}

func deleteDevice(ctx context.Context, q store.Querier, id trefoil.DeviceID) error {
	if err := deleteTokens(ctx, q, id); err != nil {
		return err
	}
	if _, err := q.ExecContext(ctx, "delete from ledger where device = $1", string(id)); err != nil {
		return err
	}
	_, err := q.ExecContext(ctx, "delete from device where id = $1", string(id))
	return err
}

// presenceBatch is the number of devices in one statement: enough that a
// statement costs little per device, and few enough for every engine's limit
// of parameters.
const presenceBatch = 250

func updatePresence(ctx context.Context, q store.Querier, all map[trefoil.DeviceID]trefoil.Presence) error {
	args := make([]any, 0, 4*presenceBatch)
	for id, p := range all {
		args = append(args, string(id), p.Online, p.Reason, int64(p.Since))
		if len(args) == cap(args) {
			if err := updatePresences(ctx, q, args); err != nil {
				return err
			}
			args = args[:0]
		}
	}
	if len(args) == 0 {
		return nil
	}
	return updatePresences(ctx, q, args)
}

// updatePresences writes four arguments per device. The columns of a values
// list have the names column1, column2 … in both engines; the casts are for
// PostgreSQL, which cannot guess the types of parameters there.
func updatePresences(ctx context.Context, q store.Querier, args []any) error {
	var b strings.Builder
	b.WriteString("update device set online = v.column2, presence_reason = v.column3, presence_since = v.column4 from (values ")
	for i := 0; i < len(args); i += 4 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(cast($%d as text), cast($%d as boolean), cast($%d as text), cast($%d as bigint))", i+1, i+2, i+3, i+4)
	}
	b.WriteString(") as v where device.id = v.column1")
	_, err := q.ExecContext(ctx, b.String(), args...)
	return err
}

func selectTokens(ctx context.Context, q store.Querier) ([]tokenRow, error) {
	rows, err := q.QueryContext(ctx, "select hash, device, created, expires from device_token")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []tokenRow
	for rows.Next() {
		var t tokenRow
		var hash []byte
		if err := rows.Scan(&hash, &t.device, &t.created, &t.expires); err != nil {
			return nil, err
		}
		copy(t.hash[:], hash)
		all = append(all, t)
	}
	return all, rows.Err()
}

func insertToken(ctx context.Context, q store.Querier, t tokenRow) error {
	_, err := q.ExecContext(ctx,
		"insert into device_token (hash, device, label, created, expires, last_used) values ($1, $2, $3, $4, $5, $6)",
		t.hash[:], string(t.device), "", int64(t.created), int64(t.expires), int64(0))
	return err
}

func deleteTokens(ctx context.Context, q store.Querier, id trefoil.DeviceID) error {
	_, err := q.ExecContext(ctx, "delete from device_token where device = $1", string(id))
	return err
}
