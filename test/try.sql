-- What a statement gives: its row, or the state, message, detail and hint of its error.
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE s text; m text; d text; h text; r record;
BEGIN
	EXECUTE statement INTO r;
	RETURN coalesce(r::text, 'no row');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS s = RETURNED_SQLSTATE, m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', s, m, nullif(d, ''), nullif(h, ''));
END $$;
