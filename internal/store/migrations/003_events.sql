-- The last connection events of every device: event number n is in slot
-- n % 50, so that a new one takes the place of the oldest.
create table device_event (
  device     text    not null references device (id) on delete cascade,
  slot       integer not null,
  number     bigint  not null, -- grows by one with every event of the device
  time       bigint  not null,
  first      bigint  not null, -- of the events that this row counts
  count      bigint  not null,
  kind       text    not null, -- connected, disconnected, refused
  address    text    not null,
  client     text    not null,
  protocol   text    not null,
  transport  text    not null,
  reason     text    not null,
  detail     text    not null,
  keep_alive bigint  not null, -- nanoseconds
  heard      bigint  not null, -- when the last packet came; 0 where that says nothing
  primary key (device, slot)
);
