-- The first tables. BLOB stands for the engine's type of bytes. Times are
-- microseconds since 1970-01-01 UTC; 0 means never.

create table device (
  id              text primary key,
  name            text    not null,
  tags            text    not null, -- JSON object
  profile         text    not null,
  created         bigint  not null,
  updated         bigint  not null,
  online          boolean not null,
  presence_reason text    not null,
  presence_since  bigint  not null
);

-- A device's tokens: 256 random bits, of which only the SHA-256 is kept.
create table device_token (
  hash      BLOB   primary key,
  device    text   not null references device (id) on delete cascade,
  label     text   not null,
  created   bigint not null,
  expires   bigint not null,
  last_used bigint not null
);
create index device_token_device on device_token (device);

-- A kind of device: {"metrics":{"temperature":{"unit":"°C", …}}, …}
create table profile (
  name text primary key,
  doc  text not null
);

create table account (
  name     text   primary key,
  password text   not null, -- argon2id, PHC string
  role     text   not null,
  created  bigint not null
);

-- Sessions of people, by SHA-256 of the bearer token.
create table login_session (
  hash      BLOB   primary key,
  account   text   not null references account (name) on delete cascade,
  created   bigint not null,
  expires   bigint not null,
  last_used bigint not null,
  agent     text   not null
);
create index login_session_account on login_session (account);

-- What was received and not stored, and notes about what was.
create table ledger (
  device text   not null, -- "" where the device is unknown
  reason text   not null,
  count  bigint not null,
  time   bigint not null,
  topic  text   not null,
  detail text   not null,
  sample BLOB   not null,
  primary key (device, reason)
);
