-- The light record of a job: all that the queue needs to go on after a restart.
CREATE TABLE job (
  id TEXT PRIMARY KEY,
  phase TEXT NOT NULL,
  queued_at INTEGER NOT NULL,
  changed_at INTEGER NOT NULL,
  turn INTEGER NOT NULL,
  run INTEGER NOT NULL,
  losses INTEGER NOT NULL,
  cpu_millis INTEGER NOT NULL,
  memory INTEGER NOT NULL,
  gpus INTEGER NOT NULL,
  requirements TEXT,
  tags TEXT,
  debug TEXT,
  runs_again INTEGER NOT NULL
) STRICT;
CREATE INDEX job_by_phase ON job (phase, changed_at);
CREATE INDEX job_by_turn ON job (turn);

-- Who wants a job. The caller is a web origin, or empty for programs.
CREATE TABLE hold (
  job TEXT NOT NULL,
  queue TEXT NOT NULL,
  namespace TEXT NOT NULL,
  caller TEXT NOT NULL,
  PRIMARY KEY (job, queue, namespace, caller)
) STRICT, WITHOUT ROWID;

-- What a client submitted, word for word.
CREATE TABLE definition (
  job TEXT PRIMARY KEY,
  text TEXT NOT NULL
) STRICT;

-- What the latest run came to, as our own JSON.
CREATE TABLE result (
  job TEXT PRIMARY KEY,
  json TEXT NOT NULL
) STRICT;

-- Which bytes a job's inputs had.
CREATE TABLE input (
  job TEXT NOT NULL,
  path TEXT NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (job, path)
) STRICT, WITHOUT ROWID;

-- Names that clients gave to blobs.
CREATE TABLE blob_name (
  name TEXT PRIMARY KEY,
  hash BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Webhook calls that nobody has taken yet.
CREATE TABLE call (
  id INTEGER PRIMARY KEY,
  url TEXT NOT NULL,
  body TEXT NOT NULL,
  due INTEGER NOT NULL,
  first INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  after TEXT
) STRICT;
