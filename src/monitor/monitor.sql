-- Watching models: what ml_monitor found, and a log of predictions for those who want one.

CREATE SEQUENCE ml.monitoring_run_seq;
CREATE TABLE ml.monitoring_row (
	run_id bigint NOT NULL,
	line integer NOT NULL,
	at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	role name NOT NULL,
	source text NOT NULL,
	model_id bigint NOT NULL REFERENCES ml.model ON DELETE CASCADE,
	version integer NOT NULL,
	segment text,
	subject text NOT NULL CHECK (subject IN ('batch', 'feature', 'prediction', 'performance')),
	feature text,
	measure text NOT NULL,
	reference double precision,
	value double precision,
	ci_low double precision,
	ci_high double precision,
	warn_threshold double precision,
	threshold double precision,
	noise_floor double precision,
	verdict text CHECK (verdict IN ('ok', 'warn', 'alert')),
	n bigint NOT NULL CHECK (n >= 0),
	PRIMARY KEY (run_id, line)
);
CREATE INDEX monitoring_row_model ON ml.monitoring_row (model_id, at);
COMMENT ON TABLE ml.monitoring_row IS 'what ml_monitor found: one row a measure';
COMMENT ON COLUMN ml.monitoring_row.segment IS 'value of the segment column; NULL: all rows of the batch';
COMMENT ON COLUMN ml.monitoring_row.reference IS 'the same figure in training, or on the holdout, where there is one';
COMMENT ON COLUMN ml.monitoring_row.ci_low IS 'of a metric, with ci_high: 95 % interval; of ks and wasserstein: bounds of the exact figure';
COMMENT ON COLUMN ml.monitoring_row.noise_floor IS 'what chance alone does not exceed, in as many rows and with as many measures';
COMMENT ON COLUMN ml.monitoring_row.verdict IS 'alert or warn: beyond threshold or warn_threshold, and beyond noise_floor; NULL: not judged';
ALTER SEQUENCE ml.monitoring_run_seq OWNED BY ml.monitoring_row.run_id;

CREATE VIEW ml.monitoring WITH (security_barrier) AS
	SELECT r.run_id, r.at, m.name AS model, r.version, r.segment, r.subject, r.feature, r.measure, r.reference, r.value,
		r.ci_low, r.ci_high, r.warn_threshold, r.threshold, r.noise_floor, r.verdict, r.n, r.source, r.role, r.model_id,
		r.line
	FROM ml.monitoring_row r JOIN ml.model m ON m.model_id = r.model_id
	WHERE @extschema@.ml_has_privilege(m.model_id, 'view');
COMMENT ON VIEW ml.monitoring IS 'what ml_monitor found of the models that the current user may view';

ALTER TABLE ml.monitoring_row OWNER TO @extowner@;
ALTER SEQUENCE ml.monitoring_run_seq OWNER TO @extowner@;
ALTER VIEW ml.monitoring OWNER TO @extowner@;
REVOKE ALL ON ml.monitoring_row FROM PUBLIC;
REVOKE ALL ON SEQUENCE ml.monitoring_run_seq FROM PUBLIC;
GRANT SELECT ON ml.monitoring TO PUBLIC;
ALTER TABLE ml.monitoring_row ENABLE ROW LEVEL SECURITY;
CREATE POLICY view ON ml.monitoring_row FOR SELECT USING (@extschema@.ml_has_privilege(model_id, 'view'));
SELECT pg_catalog.pg_extension_config_dump('ml.monitoring_row', '');
SELECT pg_catalog.pg_extension_config_dump('ml.monitoring_run_seq', '');

CREATE FUNCTION ml_monitor(
	model text, source text, actual text DEFAULT NULL, segment text DEFAULT NULL, on_alert text DEFAULT 'none',
	thresholds jsonb DEFAULT NULL, record boolean DEFAULT true)
RETURNS TABLE (run_id bigint, segment text, subject text, feature text, measure text, reference double precision,
	value double precision, ci_low double precision, ci_high double precision, warn_threshold double precision,
	threshold double precision, noise_floor double precision, verdict text, n bigint)
AS 'MODULE_PATHNAME', 'ml_sql_monitor' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION ml_monitor(text, text, text, text, text, jsonb, boolean) IS
'Compares a batch, a relation name or one SELECT that is read once with your rights, with the rows the model was trained on: each feature, the predictions, and the metrics when actual names the column with what came true (else what the probabilities of a classifier promise). segment: a column; its values get rows of their own beside those of the whole batch. The rows are returned and, with record, kept in ml.monitoring. thresholds: {"psi": [warn, alert], ...}, see docs/monitoring.md. on_alert => ''error'': an alert ends the transaction with ML001, so that a load is undone. Needs the privilege view. Errors: 42703 no such column, 22023 wrong threshold, 54000 too many segments.';
