package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/trefoil-iot/trefoil/internal/config"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

type backupCmd struct {
	clientFlags
	Target string `arg:"" placeholder:"FILE|DIR" help:"File to write, or a directory, in which the file gets a name with the time."`
}

func (backupCmd) Help() string {
	return `The server goes on while it is copied. The file is the database as it was when the command began; it is checked when it is there, and a file of that name is replaced only then. Administrators only.

"trefoil restore" puts it back. A server makes backups by itself with backup.directory in its configuration.

Examples:

    trefoil backup /mnt/usb
    trefoil backup before-the-move.db`
}

func (c *backupCmd) Run(ctx context.Context, t *terminal) error {
	server, err := c.connect(t)
	if err != nil {
		return err
	}
	path := c.Target
	if info, err := os.Stat(path); err == nil && info.IsDir() || strings.HasSuffix(path, string(filepath.Separator)) {
		path = filepath.Join(path, "trefoil-"+time.Now().UTC().Format("20060102-150405")+".db")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	part := path + ".part"
	defer os.Remove(part) // after it got its name there is none
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	bar := t.bar("backup")
	err = server.Backup(ctx, f, bar.show)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	bar.done()
	b, err := sqlite.Inspect(ctx, part)
	if err != nil {
		return fmt.Errorf("the backup is not whole: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	t.printf("%s: %s, %s, checked\n", path, config.Approximate(b.Bytes), counted(b.Devices, "device"))
	return nil
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// bar is the progress of something whose size is known.
type bar struct {
	progress *progress
	what     string
	last     time.Time
}

// barEvery is how often a bar is drawn.
const barEvery = 100 * time.Millisecond

func (t *terminal) bar(what string) *bar {
	p := t.progress()
	if !p.live { // a pipe gets the result only
		p = nil
	}
	return &bar{progress: p, what: what}
}

func (b *bar) show(done, size int64) {
	now := time.Now()
	if b.progress == nil || size <= 0 || done < size && now.Sub(b.last) < barEvery {
		return
	}
	b.last = now
	const width = 30
	full := int(done * width / size)
	b.progress.show("%s %s%s %3d%% of %s", b.what, strings.Repeat("█", full), strings.Repeat("░", width-full), done*100/size, config.Approximate(size))
}

func (b *bar) done() {
	if b.progress != nil {
		b.progress.done()
	}
}
