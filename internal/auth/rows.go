package auth

import (
	"context"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
)

func selectAccounts(ctx context.Context, q store.Querier) (map[string]account, error) {
	rows, err := q.QueryContext(ctx, "select name, password, role, created from account")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[string]account)
	for rows.Next() {
		var a account
		if err := rows.Scan(&a.name, &a.password, &a.role, &a.created); err != nil {
			return nil, err
		}
		all[a.name] = a
	}
	return all, rows.Err()
}

func upsertAccount(ctx context.Context, q store.Querier, a account) error {
	_, err := q.ExecContext(ctx, `insert into account (name, password, role, created) values ($1, $2, $3, $4)
		on conflict (name) do update set password = excluded.password, role = excluded.role`,
		a.name, a.password, string(a.role), int64(a.created))
	return err
}

const sessionColumns = "hash, account, created, expires, last_used, agent"

func selectSessions(ctx context.Context, q store.Querier, now trefoil.Instant) (map[tokenHash]*session, error) {
	rows, err := q.QueryContext(ctx, "select "+sessionColumns+" from login_session where expires > $1", int64(now))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := make(map[tokenHash]*session)
	for rows.Next() {
		var s session
		var hash []byte
		if err := rows.Scan(&hash, &s.account, &s.created, &s.expires, &s.lastUsed, &s.agent); err != nil {
			return nil, err
		}
		copy(s.hash[:], hash)
		all[s.hash] = &s
	}
	return all, rows.Err()
}

func insertSession(ctx context.Context, q store.Querier, s *session) error {
	_, err := q.ExecContext(ctx, "insert into login_session ("+sessionColumns+") values ($1, $2, $3, $4, $5, $6)",
		s.hash[:], s.account, int64(s.created), int64(s.expires), int64(s.lastUsed), s.agent)
	return err
}

func updateSession(ctx context.Context, q store.Querier, s session) error {
	_, err := q.ExecContext(ctx, "update login_session set expires = $2, last_used = $3 where hash = $1",
		s.hash[:], int64(s.expires), int64(s.lastUsed))
	return err
}

func deleteSession(ctx context.Context, q store.Querier, hash tokenHash) error {
	_, err := q.ExecContext(ctx, "delete from login_session where hash = $1", hash[:])
	return err
}

func deleteExpired(ctx context.Context, q store.Querier, now trefoil.Instant) error {
	_, err := q.ExecContext(ctx, "delete from login_session where expires <= $1", int64(now))
	return err
}
