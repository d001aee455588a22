/*
 * log.c - a sampled log of predictions, off unless the owner of a model switches it on.
 *
 * ml_predict may write nothing: it is STABLE and runs in parallel workers and on
 * standbys.  ml_predict_logged and ml_classify_logged are VOLATILE, predict in the
 * same way, and write the features that the model takes, the prediction and who
 * asked for a share of the calls.  Where no log is on they cost a comparison more.
 *
 * What a model's log is set to is remembered in the backend until any model changes
 * (ml_catalog_generation); a change that is rolled back counts as one, too.
 */
#include "core/predict.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "core/acl.h"
#include "core/state.h"
#include "deploy/registry.h"

#define PRUNE_EVERY 1000		/* rows written */

typedef struct LogSetting
{
	uint64		generation;
	int64		version_id;		/* 0: nothing is remembered */
	int64		model_id;
	int			version;
	double		share;			/* 0: off */
	int64		written;		/* since looked up */
} LogSetting;

static LogSetting setting;

/* Sets what is known of the log of this version's model. */
static void
look_up(int64 version_id)
{
	uint64		generation = ml_catalog_generation();
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(version_id)};
	MlOwnerWork work;
	bool		isnull;

	if (setting.version_id == version_id && setting.generation == generation)
		return;
	memset(&setting, 0, sizeof(setting));
	ml_owner_begin(&work);
	if (ml_owner_run("SELECT v.model_id, v.version, COALESCE(s.share, 0) FROM ml.version v"
					 " LEFT JOIN ml.prediction_log_setting s ON s.model_id = v.model_id WHERE v.version_id = $1",
					 1, types, values, NULL) == 1)
	{
		setting.model_id = ml_owner_int(1);
		setting.version = (int) ml_owner_int(2);
		setting.share = DatumGetFloat8(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
		setting.version_id = version_id;
		setting.generation = generation;
	}
	ml_owner_end(&work);
}

static bool
sampled(void)
{
	uint64		bits;

	if (setting.share >= 1)
		return true;
	if (!pg_strong_random(&bits, sizeof(bits)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random number")));
	return ml_split_uniform(bits, 0) < setting.share;
}

static void
prune(int64 model_id)
{
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(model_id)};

	ml_owner_run("DELETE FROM ml.prediction_log_row r USING ml.prediction_log_setting s WHERE r.model_id = $1"
				 " AND s.model_id = $1 AND r.at < clock_timestamp() - s.keep", 1, types, values, NULL);
}

/* Names of the columns that the model takes. */
static Datum
feature_names(const MlModel *model)
{
	const MlSchema *schema = model->encoder->schema;
	Datum	   *names = palloc(Max(schema->ncolumns, 1) * sizeof(Datum));

	for (int i = 0; i < schema->ncolumns; i++)
		names[i] = CStringGetTextDatum(schema->columns[i].name);
	return PointerGetDatum(construct_array(names, schema->ncolumns, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Writes the prediction of this call, or not. */
static void
log_prediction(const MlSite *site, FunctionCallInfo fcinfo, double prediction, const char *label)
{
	Oid			types[] = {INT8OID, INT4OID, NAMEOID, TEXTOID, FLOAT8OID, TEXTOID, TEXTARRAYOID};
	Datum		values[7];
	char		nulls[] = {' ', ' ', ' ', ' ', ' ', label ? ' ' : 'n', ' '};
	NameData	role;
	MlOwnerWork work;

	look_up(site->version_id);
	if (setting.share <= 0 || !sampled())
		return;
	PreventCommandIfReadOnly("a logged prediction");
	namestrcpy(&role, GetUserNameFromId(GetUserId(), false));
	values[0] = Int64GetDatum(setting.model_id);
	values[1] = Int32GetDatum(setting.version);
	values[2] = NameGetDatum(&role);
	values[3] = DirectFunctionCall1(row_to_json, PG_GETARG_DATUM(site->row_arg));
	values[4] = Float8GetDatum(prediction);
	values[5] = label ? CStringGetTextDatum(label) : (Datum) 0;
	values[6] = feature_names(site->model);
	ml_owner_begin(&work);
	if (setting.written++ % PRUNE_EVERY == 0)
		prune(setting.model_id);
	ml_owner_run("INSERT INTO ml.prediction_log_row (model_id, version, role, features, prediction, label)"
				 " SELECT $1, $2, $3, COALESCE(jsonb_object_agg(e.key, e.value), '{}'), $5, $6"
				 " FROM jsonb_each($4::jsonb) e WHERE e.key = ANY ($7)", 7, types, values, nulls);
	ml_owner_end(&work);
}

/* ml_predict_logged(model, row) */
ML_FUNCTION(ml_sql_predict_logged)
{
	MlSite	   *site = ml_site(fcinfo, ML_PREDICT);
	double		prediction;

	if (site == NULL)
		PG_RETURN_NULL();
	if (site->outputs > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model predicts one of %d classes, not a number", site->model->classes),
				 errhint("Use ml_classify_logged.")));
	ml_site_predict(site, fcinfo);
	prediction = site->out[0];
	log_prediction(site, fcinfo, prediction, NULL);
	PG_RETURN_FLOAT8(prediction);
}

/* ml_classify_logged(model, row): the prediction is the probability of the label */
ML_FUNCTION(ml_sql_classify_logged)
{
	MlSite	   *site = ml_site(fcinfo, ML_PREDICT);
	int			class;
	char	   *label;

	if (site == NULL)
		PG_RETURN_NULL();
	if (site->model->classes == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model predicts numbers, not classes"),
				 errhint("Use ml_predict_logged.")));
	ml_site_predict(site, fcinfo);
	class = ml_site_class(site);
	label = pstrdup(site->model->labels[class]);
	log_prediction(site, fcinfo, site->outputs > 1 ? site->out[class] : class == 1 ? site->out[0] : 1 - site->out[0], label);
	PG_RETURN_TEXT_P(cstring_to_text(label));
}

/* ml_log_predictions(model, share, keep) */
ML_FUNCTION(ml_sql_log_predictions)
{
	char	   *name = ml_keep_model(fcinfo);
	double		share;
	Oid			types[] = {INT8OID, FLOAT8OID, INTERVALOID};
	Datum		values[3];
	MlLocked	locked;
	int64		removed;
	char	   *detail;

	for (int i = 1; i <= 2; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not be null", i == 1 ? "share" : "keep")));
	share = PG_GETARG_FLOAT8(1);
	if (!(share >= 0 && share <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %g is out of range for parameter \"share\"", share),
				 errdetail("Valid range is 0 to 1: the share of predictions to be logged.")));
	if (DatumGetInt32(DirectFunctionCall2(interval_cmp, PG_GETARG_DATUM(2),
										  IntervalPGetDatum(&(Interval) {0}))) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be negative", "keep")));
	detail = psprintf("{\"share\": %g}", share);	/* outlives the work under the lock */
	ml_keep_lock(name, ML_MANAGE, &locked);
	values[0] = Int64GetDatum(locked.model.model_id);
	values[1] = Float8GetDatum(share);
	values[2] = PG_GETARG_DATUM(2);
	removed = ml_owner_run("DELETE FROM ml.prediction_log_row WHERE model_id = $1 AND $2 IS NOT NULL"
						   " AND at < clock_timestamp() - $3", 3, types, values, NULL);
	ml_owner_run("DELETE FROM ml.prediction_log_setting WHERE model_id = $1 AND $2 IS NOT NULL AND $3 IS NOT NULL",
				 3, types, values, NULL);
	if (share > 0)
		ml_owner_run("INSERT INTO ml.prediction_log_setting (model_id, share, keep) VALUES ($1, $2, $3)",
					 3, types, values, NULL);
	ml_keep_done(&locked, share > 0 ? "log_on" : "log_off", 0, detail);
	PG_RETURN_INT64(removed);
}
