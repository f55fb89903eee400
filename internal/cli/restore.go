package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil/internal/config"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

type restoreCmd struct {
	serverFlags
	File  string `arg:"" placeholder:"FILE" help:"Backup to put in place."`
	Force bool   `help:"Replace a database that is there; it is kept beside the new one."`
}

func (restoreCmd) Help() string {
	return `The server must be stopped. The backup is checked first: every page, and a sample of the readings. A database that is there already is replaced with --force only, and is kept under another name beside the new one.

Example:

    trefoil restore /mnt/usb/trefoil-20261122-204009.db --data /var/lib/trefoil`
}

func (c *restoreCmd) Run(ctx context.Context, t *terminal) error {
	dir, err := sqliteData(c.serverFlags, t)
	if err != nil {
		return err
	}
	b, err := sqlite.Inspect(ctx, c.File)
	if err != nil {
		return fmt.Errorf("the backup is not good, and nothing was changed: %w", err)
	}
	bar, done := t.bar("restore"), int64(0)
	aside, err := sqlite.Restore(dir, c.File, c.Force, time.Now(), func(n int64) {
		done += n
		bar.show(done, b.Bytes)
	})
	if errors.Is(err, sqlite.ErrOccupied) {
		return fmt.Errorf("%s has a database already; add --force to replace it (it is kept beside the new one), or name another directory with --data", dir)
	}
	if err != nil {
		return err
	}
	bar.done()
	t.printf("%s: %s, %s, as of %s\n", filepath.Join(dir, sqlite.FileName), config.Approximate(b.Bytes), counted(b.Devices, "device"), asOf(b))
	if aside != "" {
		t.printf("The old database is kept in %s.\n", aside)
	}
	return nil
}

func asOf(b sqlite.Backup) string {
	if b.Newest == 0 {
		return "an unknown time"
	}
	return b.Newest.Time().Local().Format(time.DateTime)
}

// sqliteData gives the data directory of a server that keeps its database
// there.
func sqliteData(f serverFlags, t *terminal) (string, error) {
	e, err := config.Load(f.inputs(t))
	if err != nil {
		return "", err
	}
	if e.Config.Store.URL != "sqlite" {
		return "", usageError("the database is PostgreSQL; use pg_restore")
	}
	return e.Config.Data, nil
}

type rollbackCmd struct {
	serverFlags
	Yes bool `help:"Do not ask."`
}

func (rollbackCmd) Help() string {
	return `Before a new version changes the tables of a database, it keeps a copy. This command puts the copy back, so that the version from before can be started again. Everything that was stored since the upgrade is not in it; the database of now is kept under another name beside it. The server must be stopped.`
}

func (c *rollbackCmd) Run(ctx context.Context, t *terminal) error {
	dir, err := sqliteData(c.serverFlags, t)
	if err != nil {
		return err
	}
	b, err := sqlite.Inspect(ctx, filepath.Join(dir, sqlite.SnapshotName))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has no copy from before an upgrade: its tables have not changed since it was made", dir)
	}
	if err != nil {
		return err
	}
	t.printf("The copy is as of %s (%s, %s).\nEverything that was stored since will be missing; it stays in a file beside the database.\n",
		asOf(b), config.Approximate(b.Bytes), counted(b.Devices, "device"))
	if !c.Yes && !t.agree("Put the copy back?") {
		return usageError("nothing was changed; add --yes to go on")
	}
	aside, _, err := sqlite.Rollback(ctx, dir, time.Now())
	if err != nil {
		return err
	}
	t.printf("Done. The database of the newer version is kept in %s.\nStart the version from before now; this one would upgrade the copy again.\n", aside)
	return nil
}

// agree asks a person; without one the answer is no.
func (t *terminal) agree(question string) bool {
	if !t.interactive() {
		return false
	}
	t.printf("%s [y/N] ", question)
	answer, _ := bufio.NewReader(t.stdin).ReadString('\n') // none is no
	return strings.EqualFold(strings.TrimSpace(answer), "y")
}
