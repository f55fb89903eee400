//go:build !unix

package mqtt

// readRaw is readPlain where a socket cannot be waited for without a buffer.
func (c *conn) readRaw() (int, error) { return c.readPlain() }

// rawWriter leaves every write to a goroutine of its own.
type rawWriter struct{}

func newRawWriter() *rawWriter { return &rawWriter{} }

func (*rawWriter) write(*conn, []byte) (int, error) { return 0, nil }
