-- What lists show of a job, so that nobody reads its definition or its result for that.
CREATE TABLE synopsis (
  job TEXT PRIMARY KEY,
  -- Whether image and command were read from the definition.
  described INTEGER NOT NULL DEFAULT 0,
  image TEXT,
  command TEXT,
  -- Who held the job last, as [[queue, namespace, caller], ...]: a cancelled job has no holds any more.
  held TEXT NOT NULL DEFAULT '[]',
  started_at INTEGER,
  exit_code INTEGER,
  duration INTEGER,
  failure_code TEXT,
  failure_message TEXT,
  output_bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The stages of the latest run and what it used of the computer, as our own JSON.
CREATE TABLE course (
  job TEXT PRIMARY KEY,
  json TEXT NOT NULL
) STRICT;

-- What the person wants to keep, whatever the limit of the cache says.
CREATE TABLE pin (
  kind TEXT NOT NULL,
  id TEXT NOT NULL,
  PRIMARY KEY (kind, id)
) STRICT, WITHOUT ROWID;

-- Images that we had pulled, and when a job last used each.
CREATE TABLE pulled_image (
  name TEXT PRIMARY KEY,
  used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Jobs of before: what the records say of them. Image and command are read from the definitions after the start.
INSERT INTO synopsis (job, held, started_at, exit_code, duration, failure_code, failure_message, output_bytes)
SELECT
  job.id,
  (SELECT json_group_array(json_array(queue, namespace, caller)) FROM hold WHERE hold.job = job.id),
  -- Of a job that is over, the time before its container is not known any more.
  CASE WHEN job.phase = 'Running' THEN job.changed_at
       ELSE job.changed_at - (result.json ->> '$.duration.secs') * 1000 END,
  result.json ->> '$.exit_code',
  (result.json ->> '$.duration.secs') * 1000 + (result.json ->> '$.duration.nanos') / 1000000,
  result.json ->> '$.failure[0]',
  result.json ->> '$.failure[1]',
  ifnull((SELECT sum(value ->> '$[1]') FROM json_each(result.json, '$.outputs')), 0)
FROM job LEFT JOIN result ON result.job = job.id AND json_valid(result.json);
