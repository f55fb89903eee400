-- Readings as plain rows. Whoever reads them with SQL uses the views readings
-- and latest_readings; DESIGN.md of this package says what the tables are for.

create table series (
  id     bigint generated always as identity primary key,
  device text not null,
  metric text not null,
  unique (device, metric)
);

-- One row per reading. value holds a number, or 1 and 0 for true and false;
-- boolean and text say what else it is. Texts that PostgreSQL cannot hold
-- because of a zero byte are exact in bytes and readable in text.
create table reading (
  series_id bigint           not null,
  time      timestamptz      not null,
  value     double precision,
  boolean   boolean,
  text      text,
  bytes     BLOB,
  primary key (series_id, time)
) partition by range (time);

-- What the server cannot know is rare: readings of clocks that are far off
-- share two partitions, so that they cannot make thousands of them.
create table reading_before_2000 partition of reading for values from (minvalue) to ('2000-01-01 00:00:00+00');
create table reading_after_2100 partition of reading for values from ('2100-01-01 00:00:00+00') to (maxvalue);

-- The partitions between those two.
create table reading_partition (
  name text        primary key,
  low  timestamptz not null,
  high timestamptz not null -- exclusive
);

-- The newest reading of every series. Room in the pages lets an update stay
-- on its page and out of the index.
create table latest (
  series_id bigint primary key,
  time      timestamptz not null,
  value     double precision,
  boolean   boolean,
  text      text,
  bytes     BLOB
) with (fillfactor = 40);

-- Series that were dropped and may still have readings.
create table dropped_series (
  id bigint primary key
);

-- One row: the number of the last commit, and how often series were dropped.
create table commit_state (
  one   boolean primary key check (one),
  seq   bigint  not null,
  drops bigint  not null
) with (fillfactor = 20);
insert into commit_state (one, seq, drops) values (true, 0, 0);

-- The last commit of each process that writes or has written.
create table commit_writer (
  name text        primary key,
  seq  bigint      not null,
  time timestamptz not null
) with (fillfactor = 20);

create view readings as
  select s.device, s.metric, r.time, r.value, r.boolean, r.text
  from series s join reading r on r.series_id = s.id;

create view latest_readings as
  select s.device, s.metric, l.time, l.value, l.boolean, l.text
  from series s join latest l on l.series_id = s.id;
