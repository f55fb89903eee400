-- Readings in their three forms; DESIGN.md of this package says how they work
-- together. Numbers of series are never used twice, so that what is left of a
-- dropped series can never show up in another one.

create table series (
  id     integer primary key autoincrement,
  device text    not null,
  metric text    not null,
  latest BLOB    not null, -- newest reading when a chunk was last written, encoded; empty before
  stored integer not null, -- readings in chunks
  unique (device, metric)
);

-- One row per commit; the number of the row is the number of the commit.
create table log (
  seq  integer primary key,
  data BLOB    not null
);

-- Commits up to this one are no longer in the log: one row.
create table log_cut (
  seq integer not null
);
insert into log_cut (seq) values (0);

-- id holds the number of the series and the time from which on the chunk is
-- responsible, hours the width of its slot, first and last the times of its
-- first and last reading.
create table chunk (
  id      integer primary key,
  hours   integer not null,
  first   integer not null,
  last    integer not null,
  summary BLOB    not null,
  data    BLOB    not null
);

create index chunk_hourly on chunk (hours) where hours = 1;

-- Chunks that could not be read when readings were to be merged into them.
create table damaged_chunk (
  id      integer primary key,
  hours   integer not null,
  first   integer not null,
  last    integer not null,
  summary BLOB    not null,
  data    BLOB    not null
);

-- Series that were dropped and may still have chunks.
create table dropped_series (
  id integer primary key
);
