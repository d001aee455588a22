/*
 * lineage.c - where a model comes from: the arguments it was trained with, so that
 * the training can be repeated, what the source was then, who trained it under
 * which rules, and a fingerprint of the rows that were used.
 */
#include "train/train.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"

#include "core/fingerprint.h"
#include "core/json.h"

/* ---- fingerprint ---- */

/* What stands for each category of the columns, and of a target that is text. */
static double *
dict_hashes(const MlDict *dict)
{
	int			n = ml_dict_size(dict);
	double	   *hashes = palloc(Max(n, 1) * sizeof(double));

	for (int i = 0; i < n; i++)
	{
		int			len;
		const char *bytes = ml_dict_get(dict, i, &len);

		hashes[i] = ml_fingerprint_text(bytes, len);
	}
	return hashes;
}

/*
 * Whether the stored doubles can be summed up as they come: nothing stands for a
 * text, and no role but the weight's has a column.
 */
bool
ml_plain_fingerprint(const MlTraining *t)
{
	for (int i = 0; i < t->schema->ncolumns; i++)
		if (t->schema->columns[i].kind == ML_CATEGORY)
			return false;
	return t->target_column >= 0 && t->target_dict == NULL && t->at_offset < 0 && t->at_order < 0 && t->at_group < 0;
}

/*
 * Sums up the rows that are used, with the columns that are: features, target,
 * weight, offset, order, group, each in a place of its own, also where one is absent.
 */
void
ml_training_fingerprint(MlTraining *t)
{
	MlFingerprint *sum = &t->fingerprint;
	const MlSchema *schema = t->schema;
	double	  **hashes;
	double	   *row;
	int			places[] = {t->at_w, t->at_offset, t->at_order, t->at_group};
	MlRowView	view = {{0}};
	int			got;

	/* Summed up on the way in, if all that came in is used. */
	if (ml_plain_fingerprint(t) && t->width == t->stored_width && t->core.impute != ML_IMPUTE_DROP)
		return;
	hashes = palloc0((schema->ncolumns + 1) * sizeof(double *));
	row = palloc((schema->ncells + 1) * sizeof(double));
	memset(sum, 0, sizeof(*sum));
	for (int i = 0; i < schema->ncolumns; i++)
		if (schema->columns[i].kind == ML_CATEGORY)
			hashes[i] = dict_hashes(schema->columns[i].dict);
	if (t->target_dict)
		hashes[schema->ncolumns] = dict_hashes(t->target_dict);
	ml_rows_start(t);
	while ((got = ml_rows_next(t, NULL, &view)) > 0)
		for (int i = 0; i < got; i++)
		{
			const double *from = view.row[i];
			MlRowHash	hash = {{0, 0}};

			memcpy(row, from, schema->ncells * sizeof(double));
			row[schema->ncells] = from[t->at_y];
			for (int j = 0; j <= schema->ncolumns; j++)
			{
				double	   *cell = row + (j < schema->ncolumns ? schema->columns[j].first_cell : schema->ncells);

				if (hashes[j] && !isnan(*cell))
					*cell = hashes[j][(int) *cell];
			}
			ml_row_hash_add(&hash, row, schema->ncells + 1, 0);
			for (int j = 0; j < lengthof(places); j++)
				if (places[j] >= 0)
					ml_row_hash_add(&hash, from + places[j], 1, schema->ncells + 1 + j);
			ml_row_hash_end(&hash, sum);
		}
}

/* ---- lineage ---- */

static void
add_names(StringInfo s, const char *key, char *const *names, int n)
{
	appendStringInfo(s, ", \"%s\": %s", key, n < 0 ? "null" : "[");
	for (int i = 0; i < n; i++)
	{
		appendStringInfoString(s, i > 0 ? ", " : "");
		escape_json(s, names[i]);
	}
	appendStringInfoString(s, n < 0 ? "" : "]");
}

/* The arguments of ml_train as they were given; null where they were not. */
static void
add_recipe(StringInfo s, const MlRequest *r, const char *notes)
{
	appendStringInfoString(s, "\"recipe\": {");
	ml_json_put_text(s, "source", r->source);
	ml_json_put_text(s, "target", r->target);
	ml_json_put_text(s, "algorithm", r->algorithm);
	appendStringInfo(s, ", \"params\": %s",
					 r->params ? JsonbToCString(NULL, &r->params->root, VARSIZE(r->params)) : "null");
	add_names(s, "features", r->features, r->nfeatures);
	add_names(s, "exclude", r->exclude, r->nexclude);
	ml_json_put_text(s, "task", r->task);
	ml_json_put_text(s, "weight", r->weight);
	appendStringInfo(s, ", \"holdout\": %s",
					 DatumGetCString(DirectFunctionCall1(float8out, Float8GetDatum(r->holdout))));
	ml_json_put_text(s, "split_by", r->split_by);
	ml_json_put_text(s, "order_by", r->order_by);
	appendStringInfo(s, ", \"seed\": %lld", (long long) r->seed);
	ml_json_put_text(s, "notes", notes);
	appendStringInfoChar(s, '}');
}

static void
add_column(StringInfo s, const MlTraining *t, int column, const char *role)
{
	const MlSourceColumn *from = &t->source->columns[column];

	appendStringInfo(s, "%s{", s->data[s->len - 1] == '[' ? "" : ", ");
	ml_json_put_text(s, "name", from->name);
	ml_json_put_text(s, "type", format_type_with_typemod(from->type, from->typmod));
	ml_json_put_text(s, "role", role);
	appendStringInfoChar(s, '}');
}

/* The columns that were used, with their types then. */
static void
add_columns(StringInfo s, const MlTraining *t)
{
	const struct
	{
		int			column;
		const char *role;
	}			others[] = {
		{t->target_column, "target"}, {t->weight_column, "weight"}, {t->split_column, "split"},
		{t->order_column, "order"}, {t->group_column, "group"}
	};

	appendStringInfoString(s, ", \"columns\": [");
	for (int i = 0; i < t->schema->ncolumns; i++)
		add_column(s, t, t->feature_column[i], t->feature_column[i] == t->offset_column ? "offset" : "feature");
	for (int i = 0; i < lengthof(others); i++)
		if (others[i].column >= 0)
			add_column(s, t, others[i].column, others[i].role);
	appendStringInfoChar(s, ']');
}

char *
ml_training_lineage(const MlTraining *t, const MlRequest *given, const char *notes, int64 holdout_rows)
{
	StringInfoData s;
	Oid			relid = t->source->relid;

	initStringInfo(&s);
	appendStringInfoChar(&s, '{');
	add_recipe(&s, given, notes);
	ml_json_put_text(&s, "relation", !OidIsValid(relid) ? NULL :
			 quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid)));
	ml_json_put_text(&s, "search_path", GetConfigOption("search_path", false, false));
	add_columns(&s, t);
	appendStringInfoString(&s, ", \"split\": {");
	ml_json_put_text(&s, "kind", holdout_rows == 0 ? "none" : t->order_column >= 0 ? "latest" :
			 t->split_column >= 0 ? "groups" : t->classes > 0 ? "stratified" : "random");
	appendStringInfo(&s, ", \"holdout_rows\": %lld}", (long long) holdout_rows);
	appendStringInfo(&s, ", \"rows_without_target\": %lld, \"rows_missing\": %lld, \"rows_nonfinite\": %lld",
					 (long long) t->rows_no_target, (long long) t->rows_missing, (long long) t->rows_nonfinite);
	appendStringInfo(&s, ", \"row_security\": %s", t->source->row_security ? "true" : "false");
	if (t->start)
	{
		appendStringInfoString(&s, ", \"continued\": {");
		ml_json_put_text(&s, "model", t->start_name);
		appendStringInfo(&s, ", \"version\": %d}", t->start_version);
	}
	ml_json_put_text(&s, "role", GetUserNameFromId(GetUserId(), false));
	ml_json_put_text(&s, "session_role", GetUserNameFromId(GetSessionUserId(), false));
	appendStringInfoChar(&s, '}');
	return s.data;
}
