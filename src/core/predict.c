/*
 * predict.c - models applied to rows in queries.
 *
 * Every place of a query that calls one of these functions has an MlSite in
 * its fn_extra: the model, pinned in the cache, how the row's columns become
 * cells, and the arrays in between.  A row costs a comparison of the model
 * argument with that of the row before, the conversion, and the arithmetic: no
 * catalog, and no memory but what detoasting a value takes.
 *
 * Memory: the site lives in fn_mcxt, as long as the executor's state of the
 * query; what depends on the model in a child of it that also holds the pin in
 * the cache, and what depends on the row type in a child of that.
 *
 * A name is resolved once a query, also one that the planner has resolved, since
 * a model may change between planning and execution; should the version that it
 * means by then need other columns, the planned one predicts.  An expression of
 * PL/pgSQL keeps its call sites over the queries of a transaction, so a site looks
 * again when the snapshot is another one.
 *
 * The forms of a function (model by name, version or value; row as record,
 * jsonb, numbers or columns) share one C function, and differ in the types
 * that the install script declares.
 */
#include "core/json.h"
#include "core/predict.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "core/acl.h"
#include "core/cache.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

/* What the key of a model given as value holds. */
#define KEY_TOAST 't'			/* the toast pointer */
#define KEY_ID 'i'				/* the model's id */
#define MODEL_HEAD 64			/* bytes that have the id among them */

/* ---- the model ---- */

/* Also after commands of this transaction that have changed no model. */
static bool
same_snapshot(const MlSite *site)
{
	MlSnapshotTag tag;

	ml_snapshot_tag(&tag);
	if (site->generation == ml_catalog_generation())
		tag.curcid = site->snapshot.curcid;
	return ml_snapshot_same(&site->snapshot, &tag);
}

static bool
same_text(const bytea *key, const text *value)
{
	int			len = VARSIZE_ANY_EXHDR(value);

	return key != NULL && VARSIZE_ANY_EXHDR(key) == len &&
		memcmp(VARDATA_ANY(key), VARDATA_ANY(value), len) == 0;
}

static bytea *
make_key(const char *bytes, int len)
{
	return (bytea *) cstring_to_text_with_len(bytes, len);
}

/*
 * Identifies a model value without reading more of it than needed.  A value in
 * a toast table keeps its pointer as long as a snapshot may see it.
 */
static int
value_key(Datum value, char *key)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(value);

	if (VARATT_IS_EXTERNAL_ONDISK(v))
	{
		key[0] = KEY_TOAST;
		memcpy(key + 1, VARDATA_EXTERNAL(v), sizeof(struct varatt_external));
		return 1 + sizeof(struct varatt_external);
	}
	key[0] = KEY_ID;
	if (VARATT_IS_EXTERNAL(v) || VARATT_IS_COMPRESSED(v))
	{
		v = PG_DETOAST_DATUM_SLICE(value, 0, MODEL_HEAD);
		ml_model_id(v, (uint8 *) key + 1);
		pfree(v);
	}
	else
		ml_model_id(v, (uint8 *) key + 1);
	return 1 + ML_MODEL_ID_SIZE;
}

#define MAX_VALUE_KEY (1 + Max(sizeof(struct varatt_external), ML_MODEL_ID_SIZE))

/* Is the model of the row before the model of this row? */
static bool
model_stands(const MlSite *site, FunctionCallInfo fcinfo)
{
	char		key[MAX_VALUE_KEY];
	int			len;

	if (site->model == NULL || site->role != GetUserId())
		return false;
	switch (site->model_form)
	{
		case ML_BY_VERSION:
		case ML_BY_NAME:
			if (!same_snapshot(site))
				return false;
			if (site->model_const)
				return true;
			if (site->model_form == ML_BY_VERSION && PG_GETARG_INT64(0) != site->planned)
				return false;
			return same_text(site->key, PG_GETARG_TEXT_PP(site->model_form == ML_BY_VERSION));
		case ML_BY_VALUE:
			if (site->model_const)
				return true;
			len = value_key(PG_GETARG_DATUM(0), key);
			return VARSIZE_ANY_EXHDR(site->key) == len &&
				memcmp(VARDATA_ANY(site->key), key, len) == 0;
	}
	return false;
}

/* Whether all columns of a model are among those that the call names. */
static bool
names_suffice(const MlModel *model, FunctionCallInfo fcinfo, int names_arg)
{
	const MlSchema *schema = model->encoder->schema;
	Datum	   *names;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(names_arg))
		return false;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(names_arg), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	for (int i = 0; i < schema->ncolumns; i++)
	{
		bool		found = false;

		for (int k = 0; k < n && !found; k++)
			found = !nulls[k] && strcmp(TextDatumGetCString(names[k]), schema->columns[i].name) == 0;
		if (!found)
			return false;
	}
	return true;
}

/* Another version than the planned one: unless only that can do with the columns that are there.  NULL: gone. */
static const MlModel *
load_other(MlSite *site, FunctionCallInfo fcinfo, const MlModelRef *ref, const text *name, MemoryContext cxt)
{
	const MlModel *planned = ml_cache_kept(site->planned, ref->model_id, site->brief, cxt);
	const MlModel *model = ml_cache_readable(ref->version_id, ref->model_id, site->brief, cxt);

	if (model == NULL)
		return NULL;
	ResetPlanCache();			/* what outdates the plan has been committed; the message may be on its way yet */
	site->in_order = false;
	if (names_suffice(model, fcinfo, site->names_arg))
		return model;
	if (planned == NULL)
		planned = ml_cache_readable(site->planned, ref->model_id, site->brief, cxt);
	if (planned == NULL && site->planned > 0)
		ml_catalog_changed_columns(ref->name);
	if (planned == NULL)
		return model;			/* a number that nobody planned: which columns are missing is said later */
	ml_catalog_stay(text_to_cstring(name), site->planned);
	site->in_order = true;
	site->version_id = site->planned;
	return planned;
}

/* The version that a name means, or means by now. */
static const MlModel *
load_named(MlSite *site, FunctionCallInfo fcinfo, const text *name, MemoryContext cxt)
{
	MlModelRef	ref;
	const MlModel *model;

	ml_catalog_resolve_query(text_to_cstring(name), site->need, &ref);
	for (;;)
	{
		site->version_id = ref.version_id;
		site->in_order = site->model_form == ML_BY_VERSION || site->names_arg < 0;
		site->planned = site->model_form == ML_BY_VERSION ? PG_GETARG_INT64(0) : ref.version_id;
		model = site->planned == ref.version_id ? ml_cache_readable(ref.version_id, ref.model_id, site->brief, cxt) :
			load_other(site, fcinfo, &ref, name, cxt);
		if (model != NULL)
			return model;
		CHECK_FOR_INTERRUPTS();
		ml_catalog_resolve_again(text_to_cstring(name), site->need, &ref);	/* dropped between two looks */
	}
}

/* Looks the model of this call up, checks the privilege, and makes room for a row of it. */
static void
model_load(MlSite *site, FunctionCallInfo fcinfo)
{
	MemoryContext cxt = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
											  "ml_ext model of a call", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	const MlModel *model = NULL;
	bytea	   *key = NULL;
	text	   *name;
	uint64		seen = ml_catalog_generation();
	char		bytes[MAX_VALUE_KEY];

	site->model = NULL;
	switch (site->model_form)
	{
		case ML_BY_NAME:
		case ML_BY_VERSION:
			name = PG_GETARG_TEXT_PP(site->model_form == ML_BY_VERSION);
			key = make_key(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
			model = load_named(site, fcinfo, name, cxt);
			break;
		case ML_BY_VALUE:
			key = make_key(bytes, value_key(PG_GETARG_DATUM(0), bytes));
			model = ml_cache_value(PG_DETOAST_DATUM(PG_GETARG_DATUM(0)), cxt);
			site->in_order = true;
			break;
	}

	site->row_ready = false;
	site->class_key = NULL;
	if (site->model_cxt != NULL)
		MemoryContextDelete(site->model_cxt);
	site->model_cxt = cxt;
	site->row_cxt = NULL;

	site->outputs = model->classes > 2 ? model->classes : 1;
	site->cells = palloc(sizeof(double) * Max(model->encoder->schema->ncells, 1));
	site->x = palloc(sizeof(double) * Max(model->encoder->p, 1));
	site->out = palloc(sizeof(double) * site->outputs);
	site->key = key;
	site->role = GetUserId();
	site->generation = seen;
	ml_snapshot_tag(&site->snapshot);
	site->model = model;
	MemoryContextSwitchTo(old);
}

/* ---- the site ---- */

/* Reads the forms of model and row from the declared argument types. */
static MlSite *
site_create(FunctionCallInfo fcinfo, MlPrivilege need, bool brief)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	MlSite	   *site = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(MlSite));
	Oid		   *types;
	int			n;

	(void) get_func_signature(flinfo->fn_oid, &types, &n);
	site->need = need;
	site->brief = brief;
	site->class_arg = site->names_arg = -1;
	site->row_form = ML_NO_ROW;
	site->model_form = types[0] == TEXTOID ? ML_BY_NAME : types[0] == INT8OID ? ML_BY_VERSION : ML_BY_VALUE;
	for (int i = site->model_form == ML_BY_VERSION ? 2 : 1; i < n; i++)
	{
		MlRowForm	form = types[i] == RECORDOID ? ML_ROW_RECORD :
			types[i] == JSONBOID ? ML_ROW_JSONB :
			types[i] == FLOAT8ARRAYOID ? ML_ROW_NUMBERS :
			types[i] == ANYOID ? ML_ROW_COLUMNS : ML_NO_ROW;

		if (form != ML_NO_ROW)
		{
			site->row_form = form;
			site->row_arg = i;
		}
		else if (types[i] == TEXTOID)
			site->class_arg = i;
		else if (types[i] == TEXTARRAYOID)
			site->names_arg = i;
	}
	pfree(types);

	if (flinfo->fn_expr != NULL && IsA(flinfo->fn_expr, FuncExpr))
	{
		List	   *args = ((FuncExpr *) flinfo->fn_expr)->args;

		site->model_const = args != NIL && IsA(linitial(args), Const) &&
			(site->model_form != ML_BY_VERSION || IsA(lsecond(args), Const));
	}
	flinfo->fn_extra = site;
	return site;
}

static MlSite *
find_site(FunctionCallInfo fcinfo, MlPrivilege need, bool brief)
{
	MlSite	   *site = (MlSite *) fcinfo->flinfo->fn_extra;

	if (PG_ARGISNULL(0))
		return NULL;
	if (site == NULL)
		site = site_create(fcinfo, need, brief);
	if (site->model_form == ML_BY_VERSION && PG_ARGISNULL(1))
		return NULL;
	if (!model_stands(site, fcinfo))
		model_load(site, fcinfo);
	return site;
}

MlSite *
ml_site(FunctionCallInfo fcinfo, MlPrivilege need)
{
	return find_site(fcinfo, need, true);
}

MlSite *
ml_site_detailed(FunctionCallInfo fcinfo, MlPrivilege need)
{
	return find_site(fcinfo, need, false);
}

MlModel *
ml_site_whole_model(const MlSite *site, FunctionCallInfo fcinfo)
{
	if (site->model_form == ML_BY_VALUE)
		return ml_model_unpack_whole((struct varlena *) DatumGetPointer(PG_GETARG_DATUM(0)));
	return ml_model_unpack_whole(ml_catalog_payload(site->version_id));
}

/* ---- the row ---- */

static char *
column_list(const MlSchema *schema)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < schema->ncolumns; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", schema->columns[i].name);
	return buf.data;
}

static void
wrong_count(const MlSchema *schema, int given)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%d values were given for %d columns of the model", given, schema->ncolumns),
			 schema->ncolumns > 0 ? errdetail("The columns are: %s.", column_list(schema)) : 0,
			 given == 1 ? errhint("If a row was meant, its alias is the name of a column, too: write alias.* instead.") : 0));
}

/* Types that are a number as they stand: converted without a call. */
static Oid
direct_type(const MlColumn *column, Oid type)
{
	if (column->kind == ML_NUMBER && column->cells == 1 &&
		(type == FLOAT8OID || type == FLOAT4OID || type == INT8OID || type == INT4OID || type == INT2OID))
		return type;
	return InvalidOid;
}

/* Empties the memory of the row type and makes one input for each column of the model. */
static void
inputs_begin(MlSite *site)
{
	site->row_ready = false;
	if (site->row_cxt == NULL)
		site->row_cxt = AllocSetContextCreate(site->model_cxt, "ml_ext row of a call", ALLOCSET_SMALL_SIZES);
	else
		MemoryContextReset(site->row_cxt);
	site->inputs = MemoryContextAllocZero(site->row_cxt,
										  sizeof(MlInput) * Max(site->model->encoder->schema->ncolumns, 1));
}

static void
input_init(MlSite *site, int column, int position, Oid type)
{
	MlInput    *input = &site->inputs[column];
	const MlColumn *c = &site->model->encoder->schema->columns[column];

	input->position = position;
	input->cell = c->first_cell;
	input->direct = direct_type(c, type);
	if (OidIsValid(input->direct))
		return;					/* needs no converter */
	ml_converter_init(&input->converter, c, type, false);
	input->direct = direct_type(c, input->converter.type);	/* domains */
}

/* Position of a column in a row type; 42703 and 42702 when there is not exactly one. */
static int
find_attribute(TupleDesc tupdesc, const char *name)
{
	int			found = -1;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (att->attisdropped || strcmp(NameStr(att->attname), name) != 0)
			continue;
		if (found >= 0)
			ereport(ERROR,
					(errcode(ERRCODE_AMBIGUOUS_COLUMN),
					 errmsg("row has more than one column \"%s\"", name)));
		found = i;
	}
	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("row has no column \"%s\"", name),
				 errdetail("The model was trained on it.")));
	return found;
}

/* Finds the model's columns in a row type. */
static void
row_setup_record(MlSite *site, TupleDesc tupdesc, uint64 id)
{
	const MlSchema *schema = site->model->encoder->schema;
	MemoryContext old;

	inputs_begin(site);
	old = MemoryContextSwitchTo(site->row_cxt);
	for (int i = 0; i < schema->ncolumns; i++)
	{
		int			at = find_attribute(tupdesc, schema->columns[i].name);

		input_init(site, i, at, TupleDescAttr(tupdesc, at)->atttypid);
	}
	site->values = palloc(sizeof(Datum) * Max(tupdesc->natts, 1));
	site->nulls = palloc(sizeof(bool) * Max(tupdesc->natts, 1));
	site->row_type = id;
	MemoryContextSwitchTo(old);
	site->row_ready = true;
}

/* Where the columns of the model are among the named arguments of the call. */
static void
find_names(MlSite *site, FunctionCallInfo fcinfo, int given, int *at)
{
	const MlSchema *schema = site->model->encoder->schema;
	Datum	   *names;
	bool	   *nulls;
	int			n;

	if (!get_fn_expr_arg_stable(fcinfo->flinfo, site->names_arg) || PG_ARGISNULL(site->names_arg))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("names of columns must be the same for all rows, and not NULL")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(site->names_arg), TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	if (n != given)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%d values were given for %d names of columns", given, n)));
	for (int i = 0; i < schema->ncolumns; i++)
	{
		at[i] = -1;
		for (int k = 0; k < n && at[i] < 0; k++)
			if (!nulls[k] && strcmp(TextDatumGetCString(names[k]), schema->columns[i].name) == 0)
				at[i] = k;
		if (at[i] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("row has no column \"%s\"", schema->columns[i].name),
					 errdetail("The model was trained on it.")));
	}
}

/* Checks the arguments of a call as the planner writes it, which anyone may write by hand. */
static void
row_setup_columns(MlSite *site, FunctionCallInfo fcinfo)
{
	const MlSchema *schema = site->model->encoder->schema;
	int			given = PG_NARGS() - site->row_arg;
	int		   *at;
	MemoryContext old;

	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("columns cannot be given as an array"),
				 errhint("Use ml_predict with a row, or with an array of numbers.")));
	if (given != schema->ncolumns && site->in_order)
		wrong_count(schema, given);
	inputs_begin(site);
	site->all_float8 = true;
	old = MemoryContextSwitchTo(site->row_cxt);
	at = palloc(Max(schema->ncolumns, 1) * sizeof(int));
	for (int i = 0; i < schema->ncolumns; i++)
		at[i] = i;
	if (!site->in_order)
		find_names(site, fcinfo, given, at);
	for (int i = 0; i < schema->ncolumns; i++)
	{
		Oid			type = get_fn_expr_argtype(fcinfo->flinfo, site->row_arg + at[i]);

		if (!OidIsValid(direct_type(&schema->columns[i], type)) &&
			(!OidIsValid(type) || get_typtype(type) == TYPTYPE_PSEUDO))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("value for column \"%s\" has no type", schema->columns[i].name),
					 errhint("Cast it to the type of the column.")));
		input_init(site, i, site->row_arg + at[i], type);
		site->all_float8 &= site->inputs[i].direct == FLOAT8OID && site->inputs[i].cell == i && at[i] == i;
	}
	MemoryContextSwitchTo(old);
	site->row_ready = true;
}

static inline void
read_input(MlInput *input, Datum value, bool isnull, double *cells)
{
	double	   *cell = cells + input->cell;

	if (!OidIsValid(input->direct))
		ml_convert(&input->converter, value, isnull, cell);
	else if (isnull)
		*cell = NAN;
	else if (input->direct == FLOAT8OID)
		*cell = DatumGetFloat8(value);
	else if (input->direct == INT4OID)
		*cell = DatumGetInt32(value);
	else if (input->direct == INT8OID)
		*cell = (double) DatumGetInt64(value);
	else if (input->direct == FLOAT4OID)
		*cell = DatumGetFloat4(value);
	else
		*cell = DatumGetInt16(value);
}

static void
read_columns(MlSite *site, FunctionCallInfo fcinfo)
{
	int			n = site->model->encoder->schema->ncolumns;
	const NullableDatum *args = &fcinfo->args[site->row_arg];
	double	   *cells = site->cells;

	if (!site->row_ready)
		row_setup_columns(site, fcinfo);

	/* The commonest row by far, without a look at each type. */
	if (site->all_float8)
	{
		for (int i = 0; i < n; i++)
			cells[i] = args[i].isnull ? NAN : DatumGetFloat8(args[i].value);
		return;
	}
	args = fcinfo->args;
	for (int i = 0; i < n; i++)
	{
		const NullableDatum *arg = &args[site->inputs[i].position];

		read_input(&site->inputs[i], arg->value, arg->isnull, cells);
	}
}

static void
read_record(MlSite *site, FunctionCallInfo fcinfo)
{
	HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(site->row_arg);
	Oid			type = HeapTupleHeaderGetTypeId(header);
	int32		typmod = HeapTupleHeaderGetTypMod(header);
	uint64		id = assign_record_type_identifier(type, typmod);
	int			n = site->model->encoder->schema->ncolumns;
	TupleDesc	tupdesc = lookup_rowtype_tupdesc(type, typmod);
	HeapTupleData tuple;

	/* The descriptor is the server's own: a copy does not know the versions of a row's columns. */
	if (!site->row_ready || site->row_type != id)
		row_setup_record(site, tupdesc, id);
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = header;
	heap_deform_tuple(&tuple, tupdesc, site->values, site->nulls);
	for (int i = 0; i < n; i++)
	{
		int			at = site->inputs[i].position;

		read_input(&site->inputs[i], site->values[at], site->nulls[at], site->cells);
	}
	ReleaseTupleDesc(tupdesc);
}

/* The member of a JSON row for a column; 42703 when it is missing. */
static void
json_member(Jsonb *row, const MlColumn *column, JsonbValue *value)
{
	if (!JB_ROOT_IS_OBJECT(row))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a row as jsonb must be an object"),
				 errdetail("Its keys are the names of the columns.")));
	if (getKeyJsonValueFromContainer(&row->root, column->name, strlen(column->name), value) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("row has no column \"%s\"", column->name),
				 errdetail("The model was trained on it.")));
}

static void
read_jsonb(MlSite *site, FunctionCallInfo fcinfo)
{
	Jsonb	   *row = PG_GETARG_JSONB_P(site->row_arg);
	const MlSchema *schema = site->model->encoder->schema;

	for (int i = 0; i < schema->ncolumns; i++)
	{
		const MlColumn *column = &schema->columns[i];
		JsonbValue	value;

		json_member(row, column, &value);
		ml_convert_json(column, &value, site->cells + column->first_cell);
	}
}

static void
read_numbers(MlSite *site, FunctionCallInfo fcinfo)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(site->row_arg);
	const MlSchema *schema = site->model->encoder->schema;
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	double	   *number = (double *) ARR_DATA_PTR(array);
	bits8	   *bitmap = ARR_NULLBITMAP(array);

	for (int i = 0; i < schema->ncolumns && !site->row_ready; i++)
		if (schema->columns[i].kind != ML_NUMBER)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of the model is of type %s, not a number",
							schema->columns[i].name, schema->columns[i].type),
					 errhint("Give the values as a row or as jsonb.")));
	site->row_ready = true;
	if (n != schema->ncolumns)
		wrong_count(schema, n);
	for (int i = 0; i < n; i++)
	{
		bool		isnull = bitmap != NULL && (bitmap[i / 8] & (1 << (i % 8))) == 0;

		site->cells[schema->columns[i].first_cell] = isnull ? NAN : *number++;
	}
}

void
ml_site_encode(MlSite *site, FunctionCallInfo fcinfo)
{
	const MlEncoder *encoder = site->model->encoder;

	switch (site->row_form)
	{
		case ML_ROW_COLUMNS:
			read_columns(site, fcinfo);
			break;
		case ML_ROW_RECORD:
			read_record(site, fcinfo);
			break;
		case ML_ROW_JSONB:
			read_jsonb(site, fcinfo);
			break;
		case ML_ROW_NUMBERS:
			read_numbers(site, fcinfo);
			break;
		case ML_NO_ROW:
			elog(ERROR, "function %u has no row argument", fcinfo->flinfo->fn_oid);
	}
	if (!ml_encode(encoder, site->cells, encoder->schema->ncells, 1, site->x))
		ml_encode_error(encoder, site->cells);
}

void
ml_check_prediction(double value)
{
	if (unlikely(!isfinite(value)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("prediction is out of range"),
				 errdetail("A number of the row is too large for the coefficients of the model.")));
}

void
ml_site_predict(MlSite *site, FunctionCallInfo fcinfo)
{
	int			n = site->model->classes > 2 ? site->model->classes : 1;

	ml_site_encode(site, fcinfo);
	site->model->algorithm->predict(site->model->fit, site->x, site->out);
	for (int i = 0; i < n; i++)
		ml_check_prediction(site->out[i]);
}

char *
ml_site_value(MlSite *site, FunctionCallInfo fcinfo, int column)
{
	const MlColumn *c = &site->model->encoder->schema->columns[column];
	Datum		value;
	Oid			type;
	Oid			out;
	bool		isvarlena;

	if (site->row_form == ML_ROW_JSONB)
	{
		JsonbValue	member;

		json_member(PG_GETARG_JSONB_P(site->row_arg), c, &member);
		return ml_json_text(&member);
	}
	if (site->row_form == ML_ROW_NUMBERS)
	{
		double		number = site->cells[c->first_cell];

		return isnan(number) ? NULL : float8out_internal(number);
	}
	if (site->row_form == ML_ROW_RECORD)
	{
		HeapTupleHeader header = PG_GETARG_HEAPTUPLEHEADER(site->row_arg);
		TupleDesc	tupdesc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
													 HeapTupleHeaderGetTypMod(header));
		int			at = site->inputs[column].position;
		bool		isnull;

		type = TupleDescAttr(tupdesc, at)->atttypid;
		ReleaseTupleDesc(tupdesc);
		value = GetAttributeByNum(header, at + 1, &isnull);
		if (isnull)
			return NULL;
	}
	else
	{
		int			at = site->inputs[column].position;

		if (PG_ARGISNULL(at))
			return NULL;
		value = PG_GETARG_DATUM(at);
		type = get_fn_expr_argtype(fcinfo->flinfo, at);
	}
	getTypeOutputInfo(type, &out, &isvarlena);
	return OidOutputFunctionCall(out, value);
}

/* ---- classes ---- */

static void
need_classes(const MlModel *model)
{
	if (model->classes == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model predicts a number and has no classes"),
				 errhint("Use ml_predict.")));
}

int
ml_site_class(const MlSite *site)
{
	int			best = 0;

	if (site->model->classes == 2)
		return site->out[0] > 0.5 ? 1 : 0;
	for (int i = 1; i < site->model->classes; i++)
		if (site->out[i] > site->out[best])
			best = i;
	return best;
}

static double
class_probability(const MlSite *site, int class_number)
{
	if (site->model->classes == 2)
		return class_number == 1 ? site->out[0] : 1.0 - site->out[0];
	return site->out[class_number];
}

/* The number of the class named in the call; looked for only when the name changes. */
static int
class_number(MlSite *site, const text *name)
{
	const MlModel *model = site->model;
	char	   *wanted;
	MemoryContext old;
	StringInfoData list;

	if (same_text(site->class_key, name))
		return site->class_number;
	wanted = text_to_cstring(name);
	initStringInfo(&list);
	for (int i = 0; i < model->classes; i++)
	{
		if (strcmp(model->labels[i], wanted) == 0)
		{
			if (site->class_key != NULL)
				pfree(site->class_key);
			site->class_key = NULL;
			old = MemoryContextSwitchTo(site->model_cxt);
			site->class_key = make_key(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
			MemoryContextSwitchTo(old);
			site->class_number = i;
			return i;
		}
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", model->labels[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model has no class \"%s\"", wanted),
			 errdetail("Its classes are: %s.", list.data)));
}

static Jsonb *
probabilities(const MlSite *site)
{
	const MlModel *model = site->model;
	JsonbParseState *state = NULL;
	JsonbValue *object;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < model->classes; i++)
	{
		JsonbValue	key;
		JsonbValue	value;
		char	   *digits = float8out_internal(class_probability(site, i));

		key.type = jbvString;
		key.val.string.val = model->labels[i];
		key.val.string.len = strlen(model->labels[i]);
		pushJsonbValue(&state, WJB_KEY, &key);
		/* By its digits: the cast of float8 to numeric keeps only 15 of them. */
		value.type = jbvNumeric;
		value.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(digits),
																ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(object);
}

/* ---- SQL ---- */

ML_FUNCTION(ml_sql_predict)
{
	MlSite	   *site = ml_site(fcinfo, ML_PREDICT);

	if (site == NULL)
		PG_RETURN_NULL();
	if (site->outputs > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model predicts one of %d classes, not a number", site->model->classes),
				 errhint("Use ml_classify, ml_probability or ml_probabilities.")));
	ml_site_predict(site, fcinfo);
	PG_RETURN_FLOAT8(site->out[0]);
}

ML_FUNCTION(ml_sql_classify)
{
	MlSite	   *site = ml_site(fcinfo, ML_PREDICT);

	if (site == NULL)
		PG_RETURN_NULL();
	need_classes(site->model);
	ml_site_predict(site, fcinfo);
	PG_RETURN_TEXT_P(cstring_to_text(site->model->labels[ml_site_class(site)]));
}

ML_FUNCTION(ml_sql_probability)
{
	MlSite	   *site = ml_site(fcinfo, ML_PREDICT);
	int			number;

	if (site == NULL || PG_ARGISNULL(site->class_arg))
		PG_RETURN_NULL();
	need_classes(site->model);
	number = class_number(site, PG_GETARG_TEXT_PP(site->class_arg));
	ml_site_predict(site, fcinfo);
	PG_RETURN_FLOAT8(class_probability(site, number));
}

ML_FUNCTION(ml_sql_probabilities)
{
	MlSite	   *site = ml_site(fcinfo, ML_PREDICT);

	if (site == NULL)
		PG_RETURN_NULL();
	need_classes(site->model);
	ml_site_predict(site, fcinfo);
	PG_RETURN_JSONB_P(probabilities(site));
}

ML_FUNCTION(ml_sql_predict_interval)
{
	MlSite	   *site = ml_site(fcinfo, ML_PREDICT);
	double		level = PG_GETARG_FLOAT8(2);
	double		low;
	double		high;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (!(level > 0.0 && level < 1.0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %s is out of range for parameter \"level\"", float8out_internal(level)),
				 errdetail("Valid values are between 0 and 1, both excluded.")));
	ml_site_encode(site, fcinfo);
	if (site->model->algorithm->interval == NULL ||
		!site->model->algorithm->interval(site->model->fit, site->x, level, &low, &high))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("this model of algorithm \"%s\" has no prediction intervals",
						site->model->algorithm->name),
				 errdetail("Models of linear, ridge and baseline have them, and of glm and logistic (two classes) without penalties.")));
	ml_check_prediction(low);
	ml_check_prediction(high);
	if (site->result == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		TupleDesc	tupdesc;

		if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
			elog(ERROR, "return type must be a row type");
		site->result = BlessTupleDesc(tupdesc);
		MemoryContextSwitchTo(old);
	}
	values[0] = Float8GetDatum(low);
	values[1] = Float8GetDatum(high);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(site->result, values, nulls)));
}
