-- What MQTT sessions are when their connection is gone. Durations are
-- nanoseconds. A message is kept as the PUBLISH packet of MQTT 5.0 that the
-- server would send, with the time when it was received.

create table mqtt_session (
  username   text    not null,
  client     text    not null,
  created    bigint  not null,
  service    boolean not null,
  expiry     bigint  not null,
  ends       bigint  not null,
  next_seq   bigint  not null,
  will       BLOB, -- null: none
  will_time  bigint  not null,
  will_delay bigint  not null,
  will_at    bigint  not null,
  primary key (username, client)
);

create table mqtt_subscription (
  username            text    not null,
  client              text    not null,
  filter              text    not null,
  qos                 integer not null,
  no_local            boolean not null,
  retain_as_published boolean not null,
  retain_handling     integer not null,
  id                  bigint  not null,
  primary key (username, client, filter),
  foreign key (username, client) references mqtt_session (username, client) on delete cascade
);

create table mqtt_queue (
  username         text    not null,
  client           text    not null,
  seq              bigint  not null,
  qos              integer not null,
  retain           boolean not null,
  subscription_ids text    not null, -- JSON array
  size             bigint  not null,
  sent             boolean not null,
  released         boolean not null,
  message          BLOB, -- null when released
  message_time     bigint  not null,
  primary key (username, client, seq),
  foreign key (username, client) references mqtt_session (username, client) on delete cascade
);

create table mqtt_received (
  username  text    not null,
  client    text    not null,
  packet_id integer not null,
  primary key (username, client, packet_id),
  foreign key (username, client) references mqtt_session (username, client) on delete cascade
);

create table mqtt_retained (
  topic        text   primary key,
  message      BLOB   not null,
  message_time bigint not null
);
