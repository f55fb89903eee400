-- Chunks are in a table per month, so that the oldest go without touching the
-- others. What the table of all of them held is moved there when the database
-- is opened.
create table partition (
  name     text    primary key, -- of its table
  start    integer not null,    -- readings from this time on
  until    integer not null,    -- exclusive
  readings integer not null,
  bytes    integer not null,    -- compressed
  summed   integer not null,    -- of readings, those of which only the summaries of hours are left
  dropped  integer not null     -- number of its retention_drop when nobody reads it any more, else 0
);

drop index chunk_hourly;
alter table chunk rename to chunk_unsorted;

-- One row: false while a process has the database open.
create table clean_stop (
  clean boolean not null
);
insert into clean_stop (clean) values (true);
