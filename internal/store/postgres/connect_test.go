package postgres_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/postgres"
)

func TestAnErrorOfOpeningSaysTheNextStepAndNoPassword(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // a port at which nobody answers, once it is closed
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	url := cluster.Database(t)
	name := url[strings.LastIndexByte(url, '/')+1 : strings.IndexByte(url, '?')]
	cluster.Exec(t, name, "create role guest_"+name+" login; revoke create on schema public from public")
	t.Cleanup(func() { cluster.Exec(t, "postgres", "drop role guest_"+name) })
	latin := "latin_" + name
	cluster.Exec(t, "postgres", "create database "+latin+" encoding 'LATIN1' template template0 locale 'C'")
	t.Cleanup(func() { cluster.Exec(t, "postgres", "drop database "+latin) })

	for _, c := range []struct{ name, url, want string }{
		{"nobody answers", "postgres://u:hunter2@" + l.Addr().String() + "/d", "check that it runs"},
		{"no such database", cluster.URL("nothing"), "createdb"},
		{"no such user", strings.Replace(url, "postgres@", "nobody:hunter2@", 1), "check user and password"},
		{"no rights", strings.Replace(url, "postgres@", "guest_"+name+"@", 1), "grant create"},
		{"wrong encoding", cluster.URL(latin), "encoding 'UTF8'"},
		{"no URL", "postgres://u:hunter2@h:port/d", "write postgres://user:password@host:5432/database"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := postgres.Open(context.Background(), c.url, store.Options{}, slog.New(slog.DiscardHandler))
			if err == nil {
				s.Close()
				t.Fatal("got no error")
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %q, want %q in it and no password", err, c.want)
			}
		})
	}
}

func TestACommitWaitsForTheDiskWhateverTheDatabaseIsSetTo(t *testing.T) {
	url := cluster.Database(t)
	name := url[strings.LastIndexByte(url, '/')+1 : strings.IndexByte(url, '?')]
	cluster.Exec(t, name, "alter database "+name+" set synchronous_commit = off")
	s := open(t, url, store.Options{})
	tx, err := s.Begin(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var got string
	if err := tx.QueryRowContext(context.Background(), "show synchronous_commit").Scan(&got); err != nil {
		t.Fatal(err)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got != "on" {
		t.Errorf("synchronous_commit: got %s, want on", got)
	}
}

func TestADatabaseThatIsUnsafeIsSaidAloud(t *testing.T) {
	var log bytes.Buffer
	s, err := postgres.Open(context.Background(), cluster.Database(t), store.Options{}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("a safe database: got log %q, want none", log.String())
	}
}
