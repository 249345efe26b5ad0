-- Images that we brought into the engine, and when a job last used each.
CREATE TABLE image (
  name TEXT PRIMARY KEY,
  -- 'pulled' or 'built'.
  origin TEXT NOT NULL,
  used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO image (name, origin, used_at) SELECT name, 'pulled', used_at FROM pulled_image;
DROP TABLE pulled_image;

-- The image of a job's latest run, whoever brought it.
CREATE TABLE job_image (
  job TEXT PRIMARY KEY,
  image TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Downloads that builds were made from: which stored file an address stands for.
CREATE TABLE context (
  -- The address without credentials.
  key TEXT PRIMARY KEY,
  etag TEXT,
  -- Whether what the address stands for never changes.
  pinned INTEGER NOT NULL,
  hash BLOB NOT NULL,
  used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
