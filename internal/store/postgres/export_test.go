package postgres

import "context"

// Cut cuts the connections of the store without a word to the database.
func (s *Store) Cut() {
	defer s.discard()
	for _, conn := range s.readers.AcquireAllIdle(context.Background()) {
		_ = conn.Conn().PgConn().Conn().Close() // its error says that it is closed
		conn.Release()
	}
}
