-- Tables and views of a Parity database, version 1. Embedded in the collector.
-- Stable for dashboards: the views' names and columns. Tables may gain columns.

CREATE TABLE runs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,           -- nanoseconds since the Unix epoch
  note TEXT NOT NULL DEFAULT ''
);

-- status: open, complete, incomplete; importing = not finished, invisible to every query and view.
CREATE TABLE captures(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  run_id INTEGER NOT NULL REFERENCES runs(id) ON DELETE CASCADE,
  team TEXT NOT NULL,
  status TEXT NOT NULL CHECK(status IN ('open', 'complete', 'incomplete', 'importing')),
  sealed INTEGER NOT NULL DEFAULT 0,     -- a sealed capture takes no more frames
  created_at INTEGER NOT NULL,
  provenance TEXT NOT NULL,              -- parity.v1.Provenance as JSON
  message TEXT NOT NULL DEFAULT '',      -- why it is incomplete
  tensors INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0,
  non_finite INTEGER NOT NULL DEFAULT 0,
  captured INTEGER NOT NULL DEFAULT 0,   -- parity.v1.CaptureCounts
  acked INTEGER NOT NULL DEFAULT 0,
  dropped INTEGER NOT NULL DEFAULT 0,
  spooled INTEGER NOT NULL DEFAULT 0,
  duplicate INTEGER NOT NULL DEFAULT 0,
  conflicting INTEGER NOT NULL DEFAULT 0,
  rejected INTEGER NOT NULL DEFAULT 0,
  UNIQUE(run_id, team)
);

CREATE TABLE tokens(
  capture_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  input_token_id INTEGER NOT NULL,       -- -1: not known
  phase INTEGER NOT NULL,                -- 0 not known, 1 prefill, 2 decode
  chosen_token_id INTEGER,
  text BLOB NOT NULL DEFAULT x'',        -- of the chosen token; may be part of a UTF-8 sequence
  PRIMARY KEY(capture_id, position)
) WITHOUT ROWID;

CREATE TABLE checkpoints(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  layer INTEGER NOT NULL,                -- -1 outside the layer stack
  stage TEXT NOT NULL,
  ordinal INTEGER NOT NULL               -- forward order
);

-- Which checkpoints a capture has, without a look at its tensors.
CREATE TABLE capture_checkpoints(
  capture_id INTEGER NOT NULL,
  checkpoint_id INTEGER NOT NULL,
  PRIMARY KEY(capture_id, checkpoint_id)
) WITHOUT ROWID;

-- One b-tree, in the order in which captures are read. No foreign keys: they would double the cost of a row.
-- dtype: 1 F32, 2 F16, 3 BF16. min, max, mean, rms are over the finite values, NULL when there are none.
CREATE TABLE tensors(
  capture_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  checkpoint_id INTEGER NOT NULL,
  blob_id INTEGER NOT NULL,
  blob_offset INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  dtype INTEGER NOT NULL,
  shape TEXT NOT NULL,                   -- "[9,64]", slowest dimension first
  elements INTEGER NOT NULL,
  stored_elements INTEGER NOT NULL,      -- fewer than elements when only a prefix was kept
  checksum INTEGER NOT NULL,             -- XXH3-64 of the stored bytes, as a signed integer
  flags INTEGER NOT NULL,                -- 1: a shadow run substituted nothing here
  nan_count INTEGER NOT NULL,
  inf_count INTEGER NOT NULL,
  min REAL,
  max REAL,
  mean REAL,
  rms REAL,
  PRIMARY KEY(capture_id, position, checkpoint_id)
) WITHOUT ROWID;

-- The bytes of all tensors of one frame, one after the other. encoding 0: as they came.
CREATE TABLE blobs(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  capture_id INTEGER NOT NULL,
  encoding INTEGER NOT NULL DEFAULT 0,
  data BLOB NOT NULL
);
CREATE INDEX blobs_by_capture ON blobs(capture_id);

CREATE TABLE comparisons(
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  reference_capture_id INTEGER NOT NULL REFERENCES captures(id) ON DELETE CASCADE,
  candidate_capture_id INTEGER NOT NULL REFERENCES captures(id) ON DELETE CASCADE,
  created_at INTEGER NOT NULL,
  profile TEXT NOT NULL,
  verdict TEXT NOT NULL,                 -- PARITY, DRIFT, DIVERGED, NOT_COMPARABLE
  reason TEXT NOT NULL,
  coverage REAL NOT NULL,
  first_position INTEGER,                -- first divergence in forward order; NULL when none
  first_checkpoint_id INTEGER,
  summary TEXT NOT NULL,                 -- parity.v1.ComparisonSummary as JSON
  UNIQUE(reference_capture_id, candidate_capture_id, profile)
);
CREATE INDEX comparisons_by_candidate ON comparisons(candidate_capture_id);

-- One row a checkpoint and position; columns as in parity.v1.ComparisonRow.
CREATE TABLE diffs(
  comparison_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  checkpoint_id INTEGER NOT NULL,
  verdict TEXT NOT NULL,                 -- MATCH, DRIFT, DIVERGED, INVALID, UNMEASURED, NOT_COMPARABLE
  reason TEXT NOT NULL,
  elements INTEGER NOT NULL,
  max_abs REAL,                          -- the metrics are NULL where nothing was measured
  max_abs_index INTEGER,
  reference_at_max REAL,
  candidate_at_max REAL,
  mean_abs REAL,
  rmse REAL,
  nmse REAL,
  cosine REAL,
  max_channel_error REAL,
  reference_nan INTEGER,
  reference_inf INTEGER,
  candidate_nan INTEGER,
  candidate_inf INTEGER,
  first_non_finite INTEGER,
  floor_nmse REAL,
  floor_multiples REAL,
  kl_divergence REAL,
  top1_match INTEGER,
  reference_top1 INTEGER,
  candidate_top1 INTEGER,
  reference_top1_rank INTEGER,
  reference_top1_gap REAL,
  top1_loss REAL,
  top5_overlap INTEGER,
  near_tie INTEGER,
  measured_from TEXT NOT NULL,
  single_op INTEGER NOT NULL,
  bit_identical INTEGER NOT NULL,
  PRIMARY KEY(comparison_id, position, checkpoint_id)
) WITHOUT ROWID;

CREATE VIEW v_runs AS
SELECT r.name AS run,
       c.team,
       c.status,
       strftime('%Y-%m-%dT%H:%M:%SZ', c.created_at / 1000000000, 'unixepoch') AS created_at,
       json_extract(c.provenance, '$.engine') AS engine,
       json_extract(c.provenance, '$.engine_version') AS engine_version,
       json_extract(c.provenance, '$.model_name') AS model,
       json_extract(c.provenance, '$.model_sha256') AS model_sha256,
       json_extract(c.provenance, '$.numerics') AS numerics,
       json_extract(c.provenance, '$.kv_type') AS kv_type,
       coalesce(json_extract(c.provenance, '$.kind') = 'CAPTURE_KIND_SHADOW', 0) AS shadow,
       json_extract(c.provenance, '$.shadow_of') AS shadow_of,
       c.tensors,
       (SELECT count(*) FROM tokens t WHERE t.capture_id = c.id) AS positions,
       (SELECT count(*) FROM capture_checkpoints k WHERE k.capture_id = c.id) AS checkpoints,
       c.bytes,
       c.non_finite,
       c.captured, c.acked, c.dropped, c.spooled, c.duplicate, c.conflicting, c.rejected,
       c.message,
       r.note,
       c.id AS capture_id
FROM runs r JOIN captures c ON c.run_id = r.id
WHERE c.status <> 'importing';

CREATE VIEW v_tensors AS
SELECT r.name AS run,
       c.team,
       t.position,
       k.name AS checkpoint,
       k.layer,
       k.stage,
       k.ordinal,
       CASE t.dtype WHEN 1 THEN 'F32' WHEN 2 THEN 'F16' WHEN 3 THEN 'BF16' END AS dtype,
       t.shape,
       t.elements,
       t.stored_elements,
       t.min, t.max, t.mean, t.rms,
       t.nan_count, t.inf_count,
       printf('%016x', t.checksum) AS xxh3,
       t.bytes,
       t.blob_id,
       t.blob_offset,
       t.capture_id
FROM tensors t
JOIN captures c ON c.id = t.capture_id
JOIN runs r ON r.id = c.run_id
JOIN checkpoints k ON k.id = t.checkpoint_id
WHERE c.status <> 'importing';

CREATE VIEW v_diffs AS
SELECT r.name AS run,
       a.team AS reference,
       b.team AS candidate,
       rb.name AS candidate_run,
       p.profile,
       d.position,
       k.name AS checkpoint,
       k.layer,
       k.stage,
       k.ordinal,
       d.verdict,
       d.reason,
       d.elements,
       d.max_abs, d.max_abs_index, d.reference_at_max, d.candidate_at_max,
       d.mean_abs, d.rmse, d.nmse, d.cosine, d.max_channel_error,
       d.reference_nan, d.reference_inf, d.candidate_nan, d.candidate_inf, d.first_non_finite,
       d.floor_nmse, d.floor_multiples,
       d.kl_divergence, d.top1_match, d.reference_top1, d.candidate_top1, d.reference_top1_rank,
       d.reference_top1_gap, d.top1_loss, d.top5_overlap, d.near_tie,
       d.measured_from, d.single_op, d.bit_identical,
       d.comparison_id
FROM diffs d
JOIN comparisons p ON p.id = d.comparison_id
JOIN captures a ON a.id = p.reference_capture_id
JOIN runs r ON r.id = a.run_id
JOIN captures b ON b.id = p.candidate_capture_id
JOIN runs rb ON rb.id = b.run_id
JOIN checkpoints k ON k.id = d.checkpoint_id;

-- One row a stored comparison; the checkpoint columns are NULL where nothing diverged.
CREATE VIEW v_first_divergence AS
SELECT r.name AS run,
       a.team AS reference,
       b.team AS candidate,
       rb.name AS candidate_run,
       p.profile,
       p.verdict,
       p.reason,
       p.coverage,
       p.first_position AS position,
       k.name AS checkpoint,
       k.layer,
       k.stage,
       d.verdict AS row_verdict,
       d.max_abs,
       d.nmse,
       d.floor_multiples,
       strftime('%Y-%m-%dT%H:%M:%SZ', p.created_at / 1000000000, 'unixepoch') AS created_at,
       p.id AS comparison_id
FROM comparisons p
JOIN captures a ON a.id = p.reference_capture_id
JOIN runs r ON r.id = a.run_id
JOIN captures b ON b.id = p.candidate_capture_id
JOIN runs rb ON rb.id = b.run_id
LEFT JOIN checkpoints k ON k.id = p.first_checkpoint_id
LEFT JOIN diffs d ON d.comparison_id = p.id AND d.position = p.first_position
                 AND d.checkpoint_id = p.first_checkpoint_id;

-- One row a stored comparison and position that both sides have: what was fed, what was chosen, what the logits say.
CREATE VIEW v_token_agreement AS
SELECT r.name AS run,
       a.team AS reference,
       b.team AS candidate,
       rb.name AS candidate_run,
       p.profile,
       ta.position,
       ta.input_token_id AS reference_input,
       tb.input_token_id AS candidate_input,
       ta.input_token_id = tb.input_token_id AS same_input,
       ta.chosen_token_id AS reference_chosen,
       tb.chosen_token_id AS candidate_chosen,
       ta.chosen_token_id = tb.chosen_token_id AS same_chosen,
       CAST(ta.text AS TEXT) AS reference_text,
       CAST(tb.text AS TEXT) AS candidate_text,
       d.reference_top1,
       d.candidate_top1,
       d.top1_match,
       d.near_tie,
       d.reference_top1_gap,
       d.kl_divergence,
       d.nmse AS logits_nmse,
       p.id AS comparison_id
FROM comparisons p
JOIN captures a ON a.id = p.reference_capture_id
JOIN runs r ON r.id = a.run_id
JOIN captures b ON b.id = p.candidate_capture_id
JOIN runs rb ON rb.id = b.run_id
JOIN tokens ta ON ta.capture_id = a.id
JOIN tokens tb ON tb.capture_id = b.id AND tb.position = ta.position
LEFT JOIN diffs d ON d.comparison_id = p.id AND d.position = ta.position
                 AND d.checkpoint_id = (SELECT id FROM checkpoints WHERE name = 'logits');
