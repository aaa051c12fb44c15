-- The lease store, version 1. Times are seconds of the store's timeline, which read as seconds since 1970;
-- 9223372036854775807 is "never". `SELECT * FROM leases` shows the leases to a person.

CREATE TABLE meta (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    store_uuid   BLOB NOT NULL CHECK (length(store_uuid) = 16),
    clean_stop   INTEGER NOT NULL CHECK (clean_stop IN (0, 1)),
    newest_stamp INTEGER,
    -- The wall clock at that moment, in seconds since 1970; NULL where it could not be believed.
    newest_wall  INTEGER CHECK (newest_wall IS NULL OR newest_stamp IS NOT NULL)
) STRICT;

-- Store seconds less boot seconds, in each boot that a daemon ran in.
CREATE TABLE boots (
    boot_id TEXT NOT NULL PRIMARY KEY,
    offset  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A million rows are usual: addresses and states are numbers here and text in the view.
CREATE TABLE lease (
    network       INTEGER NOT NULL,
    address       INTEGER NOT NULL,
    identity_kind INTEGER NOT NULL,
    identity      BLOB NOT NULL,
    mac           BLOB NOT NULL,
    host_name     BLOB,
    state         INTEGER NOT NULL,
    starts        INTEGER NOT NULL,
    ends          INTEGER NOT NULL,
    horizon       INTEGER NOT NULL,
    PRIMARY KEY (network, address)
) STRICT, WITHOUT ROWID;

CREATE VIEW leases AS SELECT
    network,
    (address >> 24) || '.' || (address >> 16 & 255) || '.' || (address >> 8 & 255) || '.' || (address & 255) AS address,
    CASE state WHEN 1 THEN 'bound' WHEN 2 THEN 'released' WHEN 3 THEN 'expired' WHEN 4 THEN 'declined' END AS state,
    CASE identity_kind WHEN 1 THEN 'chaddr ' ELSE 'id ' END || lower(hex(identity)) AS client,
    lower(hex(mac)) AS mac,
    CAST(host_name AS TEXT) AS host_name,
    datetime(starts, 'unixepoch') AS starts,
    CASE ends WHEN 9223372036854775807 THEN 'never' ELSE datetime(ends, 'unixepoch') END AS ends,
    CASE horizon WHEN 9223372036854775807 THEN 'never' ELSE datetime(horizon, 'unixepoch') END AS horizon
FROM lease;
