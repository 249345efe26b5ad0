-- An image is ours by what it is and by the engine that has it, not by its name alone: the person may give the name to
-- another image, and another engine may have one of that name.
ALTER TABLE image RENAME TO image_by_name;
CREATE TABLE image (
  -- By what the engine is known; empty where an older program noted the image, which did not ask.
  engine TEXT NOT NULL,
  name TEXT NOT NULL,
  -- The image's id; none while it is on its way, and where an older program noted it.
  id TEXT,
  -- 'pulled' or 'built'.
  origin TEXT NOT NULL,
  used_at INTEGER NOT NULL,
  -- Whether it is to go as soon as it can.
  unwanted INTEGER NOT NULL,
  PRIMARY KEY (engine, name)
) STRICT, WITHOUT ROWID;
INSERT INTO image (engine, name, id, origin, used_at, unwanted)
SELECT '', name, NULL, origin, used_at, 0 FROM image_by_name;
DROP TABLE image_by_name;
