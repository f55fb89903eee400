-- What each commit stored, in messages by device, until the ledger's own rows
-- say it: counts is a list of device ids and numbers. Every row of the ledger
-- that counts what was stored names the last of these that it contains.
create table ledger_commit (
  number bigint primary key,
  counts BLOB   not null
);
alter table ledger add column number bigint not null default 0;

-- What retention removed: never silently.
create table retention_drop (
  number   bigint primary key,
  time     bigint not null, -- when it was removed
  reason   text   not null, -- age, disk
  what     text   not null, -- raw, or all where nothing is left
  part     text   not null, -- name of the partition
  since    bigint not null, -- readings from this time on
  until    bigint not null, -- exclusive
  series   bigint not null,
  readings bigint not null,
  bytes    bigint not null
);

-- The size at the end of each UTC day, for growth and forecast.
create table storage_day (
  day      bigint primary key, -- days since 1970-01-01
  bytes    bigint not null,
  reusable bigint not null, -- of bytes: free inside of the database
  readings bigint not null,
  total    bigint not null, -- bytes of the disk, 0 where it is not known
  free     bigint not null
);
