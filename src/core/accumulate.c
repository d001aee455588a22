/*
 * accumulate.c - the aggregates over ml_state: ml_accumulate, ml_combine, and
 * ml_spec and ml_finish at their ends.
 *
 * What a call site needs (spec, converters) is opened once and kept in fn_extra;
 * the state itself carries everything, so that engines which rebuild fn_extra
 * for each row still get right results.
 *
 * The executor takes longer to evaluate twenty arguments, behind a projection that
 * adds the ctid, than to read their row.  A training whose query turns out to scan
 * a table without projection (ml_stream_parallel makes sure) has therefore just one
 * argument besides the specification, CASE WHEN $2 THEN ROW(columns) END with $2
 * false: the planner sees which columns are needed, nothing is evaluated, and the
 * transition takes values and ctid out of the scan's slot.
 */
#include "core/state.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/params.h"
#include "core/preprocess.h"
#include "core/registry.h"
#include "core/source.h"

typedef struct CallSite
{
	MlSpec	   *spec;
	MlConverter *converters;	/* one per cell of a row */
	bool	   *plain;			/* the argument is float8 */
	bool		all_plain;
	MlColumn   *columns;
	double	   *cells;			/* as ml_state_add wants them: target behind the features */
	int		   *place;			/* cell of each value given */
	int			nargs;			/* values given */
	bool		array;			/* one float8[] instead of single values */
	MlStoredColumns stored;		/* with ML_STATE_STORED */
} CallSite;

static void
wrong_count(const MlSpec *spec, int given)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("ml_accumulate got %d values, its specification names %d columns", given,
					ml_spec_cells(spec)),
			 errdetail("They are the columns of ml_spec in their order%s.",
					   spec->weight ? ", then the weight" : "")));
}

/* The type that an argument has in the call, or, where an engine tells us nothing, in the declaration. */
static Oid
argument_type(FunctionCallInfo fcinfo, int n)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, n);

	if (!OidIsValid(type))
	{
		Oid		   *declared;
		int			ndeclared;

		(void) get_func_signature(fcinfo->flinfo->fn_oid, &declared, &ndeclared);
		type = n < ndeclared ? declared[n] : InvalidOid;
	}
	return type;
}

static void
open_value(CallSite *site, int i, Oid type)
{
	ml_converter_init(&site->converters[i], &site->columns[site->place[i]], type, false);
	site->plain[i] = type == FLOAT8OID;
	site->all_plain &= site->plain[i];
}

/* Finds the columns of the call's ROW in the scan below; see ml_accumulate_call. */
static void
open_stored(FunctionCallInfo fcinfo, CallSite *site)
{
	AggState   *agg = castNode(AggState, fcinfo->context);
	CaseExpr   *choice = castNode(CaseExpr, lsecond_node(TargetEntry, AggGetAggref(fcinfo)->args)->expr);
	RowExpr    *row = castNode(RowExpr, linitial_node(CaseWhen, choice->args)->result);
	int			n = list_length(row->args);
	int		   *columns = palloc(n * sizeof(int));

	if (!IsA(outerPlanState(agg), SeqScanState) || outerPlanState(agg)->ps_ProjInfo != NULL ||
		n != ml_spec_cells(site->spec))
		elog(ERROR, "the scan does not give the rows of its table");
	for (int i = 0; i < n; i++)
	{
		Var		   *var = list_nth_node(Var, row->args, i);

		columns[i] = var->varattno - 1;
		open_value(site, i, var->vartype);
	}
	ml_stored_columns(&site->stored, columns, n);
	pfree(columns);
}

static CallSite *
open_site(FunctionCallInfo fcinfo, const MlState *state)
{
	MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	CallSite   *site = palloc0(sizeof(CallSite));
	int			first = 2;
	int			k;

	site->spec = ml_state_spec(state);
	if ((state->flags & ML_STATE_POSITION) && !(state->flags & ML_STATE_STORED))
		first += 2;
	k = ml_spec_cells(site->spec);
	site->nargs = PG_NARGS() - first;
	site->columns = palloc0(k * sizeof(MlColumn));
	site->converters = palloc0(k * sizeof(MlConverter));
	site->plain = palloc0(k * sizeof(bool));
	site->all_plain = true;
	site->cells = palloc0(k * sizeof(double));
	site->place = palloc0(k * sizeof(int));
	site->array = site->nargs == 1 && k > 1 && argument_type(fcinfo, first) == FLOAT8ARRAYOID;
	for (int i = 0; i < k; i++)
	{
		int			target = site->spec->target_at;
		int			ncells = site->spec->schema->ncells;

		site->place[i] = i < target || i > ncells ? i : i == target ? ncells : i - 1;
	}
	for (int i = 0; i < k; i++)
	{
		MlColumn   *col = &site->columns[i];
		bool		feature = i < site->spec->schema->ncells;

		col->name = feature ? site->spec->schema->columns[i].name
			: i == site->spec->schema->ncells ? site->spec->target
			: site->spec->weight ? site->spec->weight : site->spec->offset;
		col->kind = feature ? site->spec->schema->columns[i].kind : ML_NUMBER;
		col->cells = 1;
	}
	if (state->flags & ML_STATE_STORED)
		open_stored(fcinfo, site);
	else
		for (int i = 0; !site->array && i < site->nargs && i < k; i++)
			open_value(site, i, argument_type(fcinfo, first + i));
	fcinfo->flinfo->fn_extra = site;
	MemoryContextSwitchTo(old);
	return site;
}

/* A row given as one array: as many elements as the specification has columns. */
static void
cells_from_array(CallSite *site, ArrayType *array)
{
	int			k = ml_spec_cells(site->spec);
	Datum	   *values;
	bool	   *nulls;
	int			n;

	if (ARR_ELEMTYPE(array) != FLOAT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("ml_accumulate needs an array of double precision")));
	if (ARR_NDIM(array) == 1 && !ARR_HASNULL(array) && ARR_DIMS(array)[0] == k)
	{
		const double *given = (const double *) ARR_DATA_PTR(array);

		for (int i = 0; i < k; i++)
			site->cells[site->place[i]] = given[i];
		return;
	}
	deconstruct_array(array, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values, &nulls, &n);
	if (n != k)
		wrong_count(site->spec, n);
	for (int i = 0; i < k; i++)
		site->cells[site->place[i]] = nulls[i] ? (double) NAN : DatumGetFloat8(values[i]);
}

static void
check_cells(const CallSite *site, const double *cells, const bool *isnull)
{
	for (int i = 0; i < ml_spec_cells(site->spec); i++)
		if (!isfinite(cells[i]) && !(isnull && isnull[i]) && !(isnull == NULL && isnan(cells[i])))
			ml_reject_value(site->columns[i].name, cells[i]);
}

static void
check_weight(const CallSite *site, const double *cells)
{
	int			at = site->spec->schema->ncells + 1;

	if ((site->spec->flags & ML_STATE_WEIGHT) && !ml_weight_fits(cells[at]))
		ml_reject_weight(site->spec->weight, cells[at]);
}

/* A row given as single values; says whether all are there and finite. */
static bool
cells_from_values(CallSite *site, const NullableDatum *args, int k)
{
	bool		isnull[FUNC_MAX_ARGS];
	double	   *restrict cells = site->cells;
	const int  *restrict place = site->place;
	bool		any = !site->all_plain;

	for (int i = 0; i < k && site->all_plain; i++)
	{
		any |= args[i].isnull;
		cells[place[i]] = DatumGetFloat8(args[i].value);
	}
	if (!any && ml_cells_finite(cells, k))
		return true;
	for (int i = 0; i < k; i++)
	{
		isnull[place[i]] = args[i].isnull;
		if (args[i].isnull)
			cells[place[i]] = NAN;
		else if (site->plain[i])
			cells[place[i]] = DatumGetFloat8(args[i].value);
		else
			ml_convert(&site->converters[i], args[i].value, false, &cells[place[i]]);
	}
	if (ml_cells_finite(cells, k))
		return true;
	check_cells(site, site->cells, isnull);
	return false;
}

/* Adds the row in the slot of the scan; the specification has the target behind the features. */
static MlState *
add_stored(FunctionCallInfo fcinfo, CallSite *site, MlState *state)
{
	int			k = ml_spec_cells(site->spec);
	const double *cells;
	MlRow		row;
	bool		finite;

	ml_stored_row(&site->stored, ((AggState *) fcinfo->context)->tmpcontext->ecxt_outertuple, &row);
	if (FLOAT8PASSBYVAL && site->all_plain && !ml_any_null(row.isnull, k))
		cells = (const double *) row.values;
	else
	{
		for (int i = 0; i < k; i++)
			ml_convert(&site->converters[i], row.values[i], row.isnull[i], &site->cells[i]);
		cells = site->cells;
	}
	finite = ml_cells_finite(cells, k);
	if (!finite)
		check_cells(site, cells, row.isnull);
	check_weight(site, cells);
	return ml_state_add(site->spec, state, cells, finite, ml_split_uniform(row.position, state->seed));
}

/*
 * Transition: (state, spec, values...) with the values in the order of the
 * specification; for splits, ctid and tableoid come before them.
 */
ML_FUNCTION(ml_sql_accumulate)
{
	MlState    *state;
	CallSite   *site = fcinfo->flinfo->fn_extra;
	int			first = 2;
	int			k;
	bool		finite;
	double		u = 0;

	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this function is a part of the aggregate ml_accumulate and cannot be called alone")));
	if (PG_ARGISNULL(0))
	{
		MlState    *spec;

		if (PG_ARGISNULL(1))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"spec\" must not be null"),
					 errhint("It comes from ml_spec.")));
		spec = (MlState *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1));
		state = ml_alloc_copy(spec, VARSIZE(spec));
	}
	else
		state = (MlState *) PG_GETARG_POINTER(0);
	if (site == NULL || !ml_state_has_spec(state, site->spec))
		site = open_site(fcinfo, state);
	if (state->flags & ML_STATE_STORED)
		PG_RETURN_POINTER(add_stored(fcinfo, site, state));
	if (state->flags & ML_STATE_POSITION)
	{
		u = ml_split_uniform(ml_row_position((ItemPointer) PG_GETARG_POINTER(2), PG_GETARG_OID(3)), state->seed);
		first = 4;
	}
	k = ml_spec_cells(site->spec);
	if (site->array)
	{
		if (PG_ARGISNULL(first))
		{
			state->rows_read++;
			state->rows_missing++;
			PG_RETURN_POINTER(state);
		}
		cells_from_array(site, PG_GETARG_ARRAYTYPE_P(first));
		finite = ml_cells_finite(site->cells, k);
		if (!finite)
			check_cells(site, site->cells, NULL);
	}
	else
	{
		if (site->nargs != k)
			wrong_count(site->spec, site->nargs);
		finite = cells_from_values(site, &fcinfo->args[first], k);
	}
	check_weight(site, site->cells);
	PG_RETURN_POINTER(ml_state_add(site->spec, state, site->cells, finite, u));
}

void
ml_accumulate_call(StringInfo sql, const int *columns, int n, const char *position, bool stored)
{
	const char *schema = quote_identifier(get_namespace_name(ml_extension_schema()));

	appendStringInfo(sql, "%s.ml_accumulate($1, ", schema);
	if (stored)
		appendStringInfoString(sql, "CASE WHEN $2 THEN ROW(");
	else if (position)
		appendStringInfo(sql, "%s, ", position);
	ml_source_targets(sql, columns, n);
	appendStringInfoString(sql, stored ? ") END)" : ")");
}

/* Combines two states; also the transition of ml_combine(state). */
ML_FUNCTION(ml_sql_state_combine)
{
	MlState    *state;
	MlState    *other;
	MlSpec	   *spec = fcinfo->flinfo->fn_extra;

	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this function is a part of the aggregate ml_combine and cannot be called alone")));
	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	other = (MlState *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1));
	if (PG_ARGISNULL(0))
	{
		PG_RETURN_POINTER(ml_alloc_copy(other, VARSIZE(other)));
	}
	state = (MlState *) PG_GETARG_POINTER(0);
	if (spec == NULL || !ml_state_has_spec(state, spec))
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		spec = fcinfo->flinfo->fn_extra = ml_state_spec(state);
		MemoryContextSwitchTo(old);
	}
	ml_state_merge(spec, state, other);
	PG_RETURN_POINTER(state);
}

/* ---- ml_spec ---- */

static char **
text_array(ArrayType *array, const char *what, int *n)
{
	Datum	   *values;
	bool	   *nulls;
	char	  **out;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, n);
	out = palloc(Max(*n, 1) * sizeof(char *));
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain NULL", what)));
		out[i] = TextDatumGetCString(values[i]);
	}
	return out;
}

/* ml_spec(algorithm, columns, target, params, weight): columns in the order of the values to come. */
ML_FUNCTION(ml_sql_spec)
{
	MlSpec		spec = {0};
	MlSchema	schema = {0};
	MlCoreParams core;
	char	  **names;
	int			n;
	bool	   *scaled;
	bool		listed = false;

	for (int i = 0; i < 3; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not be null", i == 0 ? "algorithm" : i == 1 ? "columns" : "target")));
	spec.algorithm = ml_registry_find(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	if (!(spec.algorithm->flags & ML_SINGLE_PASS) || !(spec.algorithm->tasks & ML_REGRESSION))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("algorithm \"%s\" cannot be trained from states", spec.algorithm->name),
				 spec.algorithm->fit ? errdetail("It keeps the rows that it learns from.")
				 : errdetail("It reads the rows more than once."),
				 errhint("Use ml_train or ml_fit.")));
	spec.task = ML_REGRESSION;
	names = text_array(PG_GETARG_ARRAYTYPE_P(1), "columns", &n);
	schema.columns = palloc0(Max(n, 1) * sizeof(MlColumn));
	spec.target = text_to_cstring(PG_GETARG_TEXT_PP(2));
	scaled = palloc(Max(n, 1) * sizeof(bool));
	for (int i = 0; i < n; i++)
	{
		for (int j = 0; j < i; j++)
			if (strcmp(names[i], names[j]) == 0)
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" appears twice in the columns", names[i])));
		if (strcmp(names[i], spec.target) == 0)
		{
			spec.target_at = i;
			listed = true;
			continue;
		}
		schema.columns[schema.ncolumns].name = names[i];
		schema.columns[schema.ncolumns].type = "double precision";
		schema.columns[schema.ncolumns].kind = ML_NUMBER;
		schema.columns[schema.ncolumns].cells = 1;
		schema.columns[schema.ncolumns].first_cell = schema.ncolumns;
		schema.ncolumns++;
	}
	schema.ncells = schema.ncolumns;
	if (!listed)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("target \"%s\" is not among the columns", spec.target)));
	spec.schema = &schema;
	spec.target_type = "double precision";
	spec.params = palloc0(Max(spec.algorithm->params_size, 1));
	ml_params_parse(PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3), spec.algorithm->name,
					ml_core_params, &core, spec.algorithm->params, spec.params);
	ml_core_params_settle(&core, spec.algorithm);
	if (ml_params_wants_cv(spec.algorithm->params, spec.params))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a state cannot choose a penalty by cross-validation"),
				 errhint("Give a number, or use ml_train.")));
	if (spec.algorithm->check)
		spec.algorithm->check(spec.params, spec.task);
	spec.given = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	for (int i = 0; i < schema.ncolumns; i++)
		scaled[i] = core.scale != ML_SCALE_NONE;
	if (!PG_ARGISNULL(4))
	{
		spec.weight = text_to_cstring(PG_GETARG_TEXT_PP(4));
		spec.flags |= ML_STATE_WEIGHT;
	}
	spec.problem.task = spec.task;
	spec.problem.p = schema.ncells;
	spec.problem.scaled = scaled;
	spec.problem.params = spec.params;
	PG_RETURN_POINTER(ml_spec_state(&spec));
}

/* ---- ml_finish ---- */

MlModel *
ml_state_model(const MlSpec *spec, MlState *state)
{
	MlModel    *model = palloc0(sizeof(MlModel));
	MlPart	   *part = ml_state_part(state, 0);
	MlProblem	problem = spec->problem;
	MlResult	result = {0};
	char	   *info;

	ml_state_flush(spec, state);
	if (part->n == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("no rows to learn from"),
				 errdetail("%lld rows read, %lld without target or weight, %lld with a missing value.",
						   (long long) state->rows_read, (long long) state->rows_no_target,
						   (long long) state->rows_missing)));
	problem.last = true;
	if (spec->algorithm->finish(&problem, part->state, &result) != ML_DONE)
		elog(ERROR, "algorithm \"%s\" asked for a pass that cannot be had", spec->algorithm->name);
	model->algorithm = spec->algorithm;
	model->task = spec->task;
	model->target = spec->target;
	model->target_type = spec->target_type;
	model->params = spec->params_json;
	model->encoder = ml_encoder_plain(spec->schema, ML_IMPUTE_ERROR, NULL);
	model->fit = result.model;
	info = psprintf("{\"rows_read\": %lld, \"rows_used\": %.0f, \"rows_dropped\": %lld, \"prior\": [%.17g]}",
					(long long) state->rows_read, part->n,
					(long long) (state->rows_no_target + state->rows_missing), part->y_mean);
	model->info = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(info)));
	return model;
}

ML_FUNCTION(ml_sql_finish)
{
	MlState    *given = (MlState *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	MlState    *state = ml_alloc_copy(given, VARSIZE(given));
	MlSpec	   *spec = fcinfo->flinfo->fn_extra;

	if (state->nparts != 1 || state->pass != 0 || (state->flags & ML_STATE_POSITION))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this state is part of a training and cannot be finished alone")));
	if (spec == NULL || !ml_state_has_spec(state, spec))
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		spec = fcinfo->flinfo->fn_extra = ml_state_spec(state);
		MemoryContextSwitchTo(old);
	}
	PG_RETURN_POINTER(ml_model_pack(ml_state_model(spec, state)));
}
