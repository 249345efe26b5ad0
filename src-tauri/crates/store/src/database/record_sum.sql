-- What the rows of a job come to: a bit that flips in one of them is told from a change by it.
CREATE TABLE record_sum (
  job TEXT PRIMARY KEY,
  -- SHA-256 of the rows as the second copy has them.
  sum BLOB NOT NULL
) STRICT, WITHOUT ROWID;
