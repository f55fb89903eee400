package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/trefoil-iot/trefoil"
	"github.com/trefoil-iot/trefoil/internal/store"
	"github.com/trefoil-iot/trefoil/internal/store/sqlite"
)

// commits is the commit loop of the tests: one change, one commit.
type commits struct {
	store store.Store
	mu    sync.Mutex
	fail  error // instead of a commit
}

func (c *commits) Do(ctx context.Context, fn func(context.Context, store.Writer) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	tx, err := c.store.Begin(ctx)
	if err != nil {
		return err
	}
	if err := tx.Savepoint(ctx, func(w store.Writer) error { return fn(ctx, w) }); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	_, err = tx.Commit(ctx)
	return err
}

// bench is accounts on a real database.
type bench struct {
	*Accounts
	t       *testing.T
	commits *commits
	clock   time.Time
}

const password = "correct horse"

func newBench(t *testing.T) *bench {
	t.Helper()
	st, err := sqlite.Open(t.Context(), t.TempDir(), store.Options{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() { st.Close() })
	b := &bench{t: t, commits: &commits{store: st}, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.reopen()
	if _, created, err := b.EnsureAdmin(t.Context(), password); err != nil || !created {
		t.Fatalf("first administrator: created %v, %v", created, err)
	}
	return b
}

// reopen loads everything again, as a new process does.
func (b *bench) reopen() {
	b.t.Helper()
	a, err := Open(b.t.Context(), Options{
		Rows: b.commits.store.Rows(), Writer: b.commits,
		Now: func() time.Time { return b.clock }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.t.Fatalf("open accounts: %v", err)
	}
	b.Accounts = a
}

func (b *bench) login(name, password, from string) (Session, error) {
	return b.Login(b.t.Context(), Login{Name: name, Password: password, From: from, Agent: "test"})
}

func (b *bench) mustLogin() Session {
	b.t.Helper()
	s, err := b.login(AdminName, password, "192.0.2.1:5")
	if err != nil {
		b.t.Fatalf("log in: %v", err)
	}
	return s
}

func (b *bench) wantSession(what, token string, want trefoil.Code) {
	b.t.Helper()
	if _, err := b.Session(b.t.Context(), token); trefoil.CodeOf(err) != want {
		b.t.Errorf("session %s: got %v, want code %q", what, err, want)
	}
}

func TestASessionSurvivesARestart(t *testing.T) {
	b := newBench(t)
	s := b.mustLogin()
	want := Principal{Kind: User, Name: AdminName, Role: Administrator}
	for range 2 {
		got, err := b.Session(t.Context(), s.Token)
		if err != nil || got != want {
			t.Errorf("session: got %+v, %v; want %+v", got, err, want)
		}
		b.reopen()
	}
}

func TestWrongCredentialsAreRefusedAlike(t *testing.T) {
	b := newBench(t)
	for i, c := range []struct{ name, password string }{
		{AdminName, "wrong"},
		{AdminName, ""},
		{AdminName, password + " "},
		{"nobody", password},
		{"", ""},
		{AdminName, strings.Repeat("x", maxPassword+1)},
	} {
		_, err := b.login(c.name, c.password, fmt.Sprintf("192.0.2.%d:1", i))
		if got, want := fmt.Sprint(err), "user name or password is wrong"; got != want || trefoil.CodeOf(err) != trefoil.CodeUnauthorized {
			t.Errorf("log in as %q: got %q with code %q, want %q", c.name, got, trefoil.CodeOf(err), want)
		}
	}
}

func TestTheFirstAdministratorIsCreatedOnce(t *testing.T) {
	b := newBench(t)
	b.reopen()
	generated, created, err := b.EnsureAdmin(t.Context(), "another password")
	if generated != "" || created || err != nil {
		t.Errorf("second time: got %q, %v, %v; want nothing created", generated, created, err)
	}
	b.mustLogin()
}

func TestAGeneratedPasswordWorks(t *testing.T) {
	b := newBench(t)
	b.accounts = map[string]account{}
	generated, created, err := b.EnsureAdmin(t.Context(), "")
	if len(generated) != 20 || !created || err != nil {
		t.Fatalf("got %q, %v, %v; want a password of 20 characters", generated, created, err)
	}
	if _, err := b.login(AdminName, generated, "192.0.2.1:1"); err != nil {
		t.Errorf("log in with it: %v", err)
	}
}

func TestLogoutEndsTheSessionForGood(t *testing.T) {
	b := newBench(t)
	s, other := b.mustLogin(), b.mustLogin()
	if err := b.Logout(t.Context(), s.Token); err != nil {
		t.Fatal(err)
	}
	if err := b.Logout(t.Context(), s.Token); err != nil {
		t.Errorf("log out again: %v", err)
	}
	for range 2 {
		b.wantSession("after logout", s.Token, trefoil.CodeUnauthorized)
		b.wantSession("of somebody else", other.Token, "")
		b.reopen()
	}
}

func TestLogoutThatIsNotStoredIsNoLogout(t *testing.T) {
	b := newBench(t)
	s := b.mustLogin()
	b.commits.fail = trefoil.Errorf(trefoil.CodeUnavailable, "disk full")
	if err := b.Logout(t.Context(), s.Token); trefoil.CodeOf(err) != trefoil.CodeUnavailable {
		t.Errorf("log out with a failing store: got %v, want code unavailable", err)
	}
	b.wantSession("after that", s.Token, "")
	if _, err := b.login(AdminName, password, "192.0.2.1:1"); trefoil.CodeOf(err) != trefoil.CodeUnavailable {
		t.Errorf("log in with a failing store: got %v, want code unavailable", err)
	}
}

func TestASessionEndsThirtyDaysAfterItsLastUse(t *testing.T) {
	b := newBench(t)
	used, unused := b.mustLogin(), b.mustLogin()
	b.clock = b.clock.Add(20 * 24 * time.Hour)
	b.wantSession("used after 20 days", used.Token, "")
	if err := b.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.reopen() // what tidy stored is what counts
	b.clock = b.clock.Add(20 * 24 * time.Hour)
	b.wantSession("used 20 days ago", used.Token, "")
	b.wantSession("not used for 40 days", unused.Token, trefoil.CodeUnauthorized)
	if err := b.tidy(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := b.commits.store.Rows().QueryRowContext(t.Context(), "select count(*) from login_session").Scan(&n); err != nil || n != 1 {
		t.Errorf("stored sessions: got %d, %v; want 1", n, err)
	}
}

func TestTheDatabaseHoldsNeitherPasswordsNorTokens(t *testing.T) {
	b := newBench(t)
	s := b.mustLogin()
	var phc string
	var hash []byte
	rows := b.commits.store.Rows()
	if err := rows.QueryRowContext(t.Context(), "select password from account").Scan(&phc); err != nil {
		t.Fatal(err)
	}
	if err := rows.QueryRowContext(t.Context(), "select hash from login_session").Scan(&hash); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") || len(hash) != 32 || strings.Contains(s.Token, string(hash)) {
		t.Errorf("got password %q and a hash of %d bytes, want an argon2id PHC string and 32 bytes", phc, len(hash))
	}
}

func TestAnAccountHasABoundedNumberOfSessions(t *testing.T) {
	b := newBench(t)
	first := b.mustLogin()
	for range maxSessions {
		b.clock = b.clock.Add(time.Second)
		if _, err := b.open(t.Context(), b.accounts[AdminName], "test"); err != nil {
			t.Fatal(err)
		}
	}
	b.wantSession("that was used least recently", first.Token, trefoil.CodeUnauthorized)
	if got := len(b.sessions); got != maxSessions {
		t.Errorf("sessions: got %d, want %d", got, maxSessions)
	}
}

func TestTooManyFailedLoginsAreRefusedUntilTimePasses(t *testing.T) {
	b := newBench(t)
	for i := range loginBurst { // from many addresses: the account is what is limited
		if _, err := b.login(AdminName, "wrong", fmt.Sprintf("192.0.2.%d:1", i)); trefoil.CodeOf(err) != trefoil.CodeUnauthorized {
			t.Fatalf("attempt %d: got %v, want code unauthorized", i, err)
		}
	}
	_, err := b.login(AdminName, password, "192.0.2.99:1")
	var wait *TooManyLogins
	if trefoil.CodeOf(err) != trefoil.CodeTooMany || !errors.As(err, &wait) || wait.Wait <= 0 || wait.Wait > loginEvery {
		t.Fatalf("attempt above the limit: got %v, want code too_many with the time to wait", err)
	}
	b.clock = b.clock.Add(wait.Wait)
	if _, err := b.login(AdminName, password, "192.0.2.99:1"); err != nil {
		t.Errorf("after %s: %v", wait.Wait, err)
	}
}

func TestOneAddressCannotTryManyAccounts(t *testing.T) {
	b := newBench(t)
	for i := range loginBurst {
		if _, err := b.login(fmt.Sprintf("user%d", i), "x", fmt.Sprintf("[2001:db8::%d]:1", i)); trefoil.CodeOf(err) != trefoil.CodeUnauthorized {
			t.Fatalf("attempt %d: got %v, want code unauthorized", i, err)
		}
	}
	if _, err := b.login("another", "x", "[2001:db8::ffff]:1"); trefoil.CodeOf(err) != trefoil.CodeTooMany {
		t.Errorf("from the same /64: got %v, want code too_many", err)
	}
	if _, err := b.login(AdminName, password, "[2001:db8:1::1]:1"); err != nil {
		t.Errorf("from another network: %v", err)
	}
}

func TestGoodLoginsDoNotCount(t *testing.T) {
	b := newBench(t)
	for range 2 * loginBurst {
		b.mustLogin()
	}
}

func TestTheLimiterForgetsInsteadOfGrowing(t *testing.T) {
	l := newLimiter(loginEvery, loginBurst)
	now := time.Unix(0, 0)
	for i := range 2 * maxLimited {
		now = now.Add(time.Millisecond)
		l.take(fmt.Sprint(i), now)
	}
	if got := len(l.buckets); got > maxLimited {
		t.Errorf("buckets: got %d, want at most %d", got, maxLimited)
	}
}

func TestATicketLogsInOnce(t *testing.T) {
	b := newBench(t)
	ticket, err := b.NewTicket(AdminName, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.Redeem(t.Context(), ticket, "test")
	if err != nil {
		t.Fatal(err)
	}
	b.wantSession("by ticket", s.Token, "")
	late, err := b.NewTicket(AdminName, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	b.clock = b.clock.Add(time.Minute)
	for what, ticket := range map[string]string{"used": ticket, "late": late, "unknown": "x", "empty": ""} {
		if _, err := b.Redeem(t.Context(), ticket, "test"); trefoil.CodeOf(err) != trefoil.CodeUnauthorized {
			t.Errorf("%s ticket: got %v, want code unauthorized", what, err)
		}
	}
	if _, err := b.NewTicket("nobody", time.Minute); trefoil.CodeOf(err) != trefoil.CodeNotFound {
		t.Errorf("ticket for an unknown account: got %v, want code not_found", err)
	}
}

func TestDamagedPasswordRowsAreNoPasswords(t *testing.T) {
	good, err := hashPassword("x")
	if err != nil {
		t.Fatal(err)
	}
	for _, phc := range []string{
		"", "x", "$argon2i$v=19$m=19456,t=2,p=1$c2FsdA$c2FsdA",
		strings.Replace(good, "m=19456", "m=999999999", 1),
		strings.Replace(good, "t=2", "t=0", 1),
		strings.Replace(good, "v=19", "v=16", 1),
		good[:strings.LastIndex(good, "$")+1],
	} {
		if ok, err := checkPassword(phc, "x"); ok || err == nil {
			t.Errorf("check against %q: got %v, %v; want an error", phc, ok, err)
		}
	}
	if ok, err := checkPassword(good, "x"); !ok || err != nil {
		t.Errorf("check against the good one: got %v, %v", ok, err)
	}
}

func TestARoleCoversTheOnesBeforeIt(t *testing.T) {
	all := []Role{"", "unknown", Viewer, Operator, Administrator}
	for have, r := range all {
		for need, n := range all {
			want := have >= 2 && have >= need
			if need < 2 {
				want = have >= 2 // everybody with a role
			}
			if got := r.Covers(n); got != want {
				t.Errorf("%q covers %q: got %v, want %v", r, n, got, want)
			}
		}
	}
}

func TestRunStoresTheUseOfSessions(t *testing.T) {
	b := newBench(t)
	s := b.mustLogin()
	b.clock = b.clock.Add(2 * time.Hour)
	b.wantSession("used", s.Token, "")
	f := &counter{}
	b.writer = f
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.Run(ctx) }()
		time.Sleep(3*storeEvery + time.Second) // of the bubble
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	if f.calls != 1 {
		t.Errorf("writes in three rounds after one use: got %d, want 1", f.calls)
	}
}

type counter struct{ calls int }

func (c *counter) Do(context.Context, func(context.Context, store.Writer) error) error {
	c.calls++
	return nil
}
