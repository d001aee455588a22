/*
 * views.c - models as ordinary objects: ml_create_view and ml_create_function.
 *
 * Both write one CREATE statement and run it as the caller, who needs what that
 * statement needs; the model's privilege is checked here first, and by
 * the object whenever somebody uses it.  Names go into the statement through
 * quote_identifier, values through quote_literal_cstr, types by their number.
 * What they made they know again by its comment, and replace nothing else.
 */
#include "core/catalog.h"
#include "core/cache.h"
#include "core/source.h"
#include "deploy/registry.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#define VIEW_MARK "made by ml_create_view: "
#define FUNCTION_MARK "made by ml_create_function: "

static void
run(const char *sql)
{
	int			code;

	SPI_connect();
	code = SPI_execute(sql, false, 0);
	if (code < 0)
		elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(code));
	SPI_finish();
}

static bool
has_mark(Oid object, Oid class, const char *mark)
{
	char	   *comment = GetComment(object, class, 0);

	return comment != NULL && strncmp(comment, mark, strlen(mark)) == 0;
}

/* "schema".ml_ */
static char *
own_prefix(void)
{
	return psprintf("%s.ml_", quote_identifier(get_namespace_name(ml_extension_schema())));
}

static const MlModel *
find_model(const char *name)
{
	MlModelRef	ref;

	ml_catalog_resolve(name, ML_PREDICT, false, &ref);
	return ml_cache_version(ref.version_id, CurrentMemoryContext);
}

static char *
optional_text(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static void
check_class(const MlModel *model, const char *class)
{
	if (class == NULL)
		return;
	if (model->classes == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model predicts a number, not a class")));
	for (int k = 0; k < model->classes; k++)
		if (strcmp(model->labels[k], class) == 0)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("model has no class \"%s\"", class)));
}

/* ---- views ---- */

/* A name for a new column: the wanted one, or with a number behind it. */
static const char *
free_name(const MlSource *source, const char *wanted)
{
	const char *name = wanted;

	for (int n = 2;; n++)
	{
		bool		taken = false;

		for (int i = 0; i < source->ncolumns && !taken; i++)
			taken = strcmp(source->columns[i].name, name) == 0;
		if (!taken)
			return quote_identifier(name);
		name = psprintf("%s_%d", wanted, n);
	}
}

/* 42703 and 42804 now, not when the view is read. */
static void
check_columns(const MlModel *model, const MlSource *source)
{
	const MlSchema *schema = model->encoder->schema;

	for (int i = 0; i < schema->ncolumns; i++)
	{
		MlConverter converter = {0};
		int			at = ml_source_column(source, schema->columns[i].name);

		ml_converter_init(&converter, &schema->columns[i], source->columns[at].type, false);
	}
}

static bool
security_invoker(FunctionCallInfo fcinfo, int n)
{
	if (PG_ARGISNULL(n))
		return ML_HAS_SECURITY_INVOKER;
	if (PG_GETARG_BOOL(n) && !ML_HAS_SECURITY_INVOKER)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("views with security_invoker need PostgreSQL 15 or later")));
	return PG_GETARG_BOOL(n);
}

/* The full name of a relation to be made, where nothing is or a view of ours. */
static char *
view_name(const char *given)
{
	RangeVar   *var = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(given)));
	Oid			schema = RangeVarGetCreationNamespace(var);
	Oid			existing = get_relname_relid(var->relname, schema);

	if (OidIsValid(existing) &&
		(get_rel_relkind(existing) != RELKIND_VIEW || !has_mark(existing, RelationRelationId, VIEW_MARK)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", var->relname),
				 errdetail("It was not made by ml_create_view, which replaces only its own views.")));
	return quote_qualified_identifier(get_namespace_name(schema), var->relname);
}

/* ml_create_view(model, view_name, source, class, security_invoker) */
ML_FUNCTION(ml_sql_create_view)
{
	char	   *name = ml_keep_text(fcinfo, 0, "model");
	char	   *given = ml_keep_text(fcinfo, 1, "view_name");
	char	   *text = ml_keep_text(fcinfo, 2, "source");
	char	   *class = optional_text(fcinfo, 3);
	bool		invoker = security_invoker(fcinfo, 4);
	char	   *quoted = quote_literal_cstr(name);
	char	   *ml = own_prefix();
	const MlModel *model = find_model(name);
	MlSource   *source;
	char	   *view;
	StringInfoData sql;

	check_class(model, class);
	source = ml_source_open(text);
	check_columns(model, source);
	view = view_name(given);

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE OR REPLACE VIEW %s%s AS SELECT s.*, ", view,
					 invoker ? " WITH (security_invoker = true)" : "");
	if (model->classes == 0)
		appendStringInfo(&sql, "%spredict(%s::pg_catalog.text, s.*) AS %s", ml, quoted, free_name(source, "prediction"));
	else
	{
		appendStringInfo(&sql, "%sclassify(%s::pg_catalog.text, s.*) AS %s, ", ml, quoted, free_name(source, "class"));
		if (class)
			appendStringInfo(&sql, "%sprobability(%s::pg_catalog.text, s.*, %s::pg_catalog.text) AS ", ml, quoted, quote_literal_cstr(class));
		else
			appendStringInfo(&sql, "%sprobability(%s::pg_catalog.text, s.*, %sclassify(%s::pg_catalog.text, s.*)) AS ", ml, quoted, ml, quoted);
		appendStringInfoString(&sql, free_name(source, "probability"));
	}
	appendStringInfo(&sql, " FROM %s AS s", source->item);
	run(sql.data);
	run(psprintf("COMMENT ON VIEW %s IS %s", view,
				 quote_literal_cstr(psprintf(VIEW_MARK "predictions of model \"%s\"", name))));
	PG_RETURN_OID(RangeVarGetRelid(makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(view))), NoLock, false));
}

/* ---- functions ---- */

/* The full name of a type that a model names; its text may come from anywhere. */
static char *
type_name(const char *text)
{
	Oid			type;
	int32		typmod;

	ml_parse_type(text, &type, &typmod);
	return format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);
}

/* Of the functions of that name, takes away those of ours that have other arguments; 42723 for one not ours with these. */
static void
make_way(const char *qualified, Oid schema, const char *name, const oidvector *args)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	List	   *old = NIL;
	ListCell   *lc;
	bool		taken = false;

	for (int i = 0; i < list->n_members; i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
		bool		same = form->pronargs == args->dim1 &&
			memcmp(form->proargtypes.values, args->values, args->dim1 * sizeof(Oid)) == 0;

		if (form->pronamespace != schema)
			continue;
		if (!has_mark(form->oid, ProcedureRelationId, FUNCTION_MARK))
			taken |= same;
		else if (!same)
			old = lappend_oid(old, form->oid);
	}
	ReleaseSysCacheList(list);
	if (taken)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_FUNCTION),
				 errmsg("function %s already exists with the same argument types", qualified),
				 errdetail("It was not made by ml_create_function, which replaces only its own functions.")));
	foreach(lc, old)
		run(psprintf("DROP FUNCTION %s", format_procedure_qualified(lfirst_oid(lc))));
}

/* "a" integer, "b" text; their types; and {a,b} as a literal. */
static void
list_columns(const MlSchema *schema, StringInfo arguments, oidvector **types, char **names)
{
	Datum	   *texts = palloc(Max(schema->ncolumns, 1) * sizeof(Datum));
	Oid		   *oids = palloc(Max(schema->ncolumns, 1) * sizeof(Oid));
	Oid			out;
	bool		varlena;

	for (int i = 0; i < schema->ncolumns; i++)
	{
		int32		typmod;

		ml_parse_type(schema->columns[i].type, &oids[i], &typmod);
		appendStringInfo(arguments, "%s%s %s", i > 0 ? ", " : "", quote_identifier(schema->columns[i].name),
						 type_name(schema->columns[i].type));
		texts[i] = CStringGetTextDatum(schema->columns[i].name);
	}
	*types = buildoidvector(oids, schema->ncolumns);
	getTypeOutputInfo(TEXTARRAYOID, &out, &varlena);
	*names = OidOutputFunctionCall(out, PointerGetDatum(construct_array(texts, schema->ncolumns, TEXTOID, -1, false,
																		 TYPALIGN_INT)));
}

/* What the function returns, by its options: "predict", "classify" or "probability". */
static const char *
kind_of(const MlModel *model, const char *output, const char *class)
{
	bool		label = output != NULL && strcmp(output, "class") == 0;

	if (output != NULL && !label && strcmp(output, "prediction") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\": \"%s\"", "output", output),
				 errhint("Valid values are \"%s\" and \"%s\".", "prediction", "class")));
	if (label && (class != NULL || model->classes == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 class ? errmsg("either a class or output \"%s\" can be asked for, not both", "class")
				 : errmsg("model predicts a number, not a class")));
	check_class(model, class);
	if (class)
		return "probability";
	if (model->classes > 2 && output != NULL && !label)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("model predicts one of %d classes, not a number", model->classes),
				 errhint("Name the class whose probability is wanted, or ask for output \"class\".")));
	return label || model->classes > 2 ? "classify" : "predict";
}

/* The model of the call: by name, or NULL as name where it is given as a value. */
typedef struct Given
{
	const MlModel *model;
	char	   *name;
	char	   *literal;		/* SQL */
} Given;

static Given
given_model(FunctionCallInfo fcinfo)
{
	Given		given = {0};
	Oid			out;
	bool		varlena;

	if (get_fn_expr_argtype(fcinfo->flinfo, 0) == TEXTOID)
	{
		given.name = ml_keep_text(fcinfo, 0, "model");
		given.model = find_model(given.name);
		given.literal = psprintf("%s::pg_catalog.text", quote_literal_cstr(given.name));
		return given;
	}
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "model")));
	getTypeOutputInfo(ml_model_type(), &out, &varlena);
	given.model = ml_cache_value(PG_DETOAST_DATUM(PG_GETARG_DATUM(0)), CurrentMemoryContext);
	given.literal = psprintf("'%s'::%sml_model", OidOutputFunctionCall(out, PG_GETARG_DATUM(0)),
							 psprintf("%s.", quote_identifier(get_namespace_name(ml_extension_schema()))));
	return given;
}

/*
 * A function of a value reads neither catalog nor setting, unless an argument is
 * an enum: its labels can be renamed.
 */
static const char *
volatility(const Given *given, const oidvector *types)
{
	if (given->name != NULL)
		return "STABLE";
	for (int i = 0; i < types->dim1; i++)
		if (get_typtype(getBaseType(types->values[i])) == TYPTYPE_ENUM)
			return "STABLE";
	return "IMMUTABLE";
}

/* The expression that the function is. */
static char *
body(const Given *given, const char *kind, const char *class, const char *names)
{
	int			n = given->model->encoder->schema->ncolumns;
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "%s%s%s(%s", own_prefix(), kind, n > 0 ? "_columns" : "", given->literal);
	if (n == 0)
		appendStringInfoString(&s, ", '{}'::pg_catalog.jsonb");
	if (class)
		appendStringInfo(&s, ", %s::pg_catalog.text", quote_literal_cstr(class));
	if (n > 0 && given->name != NULL)
		appendStringInfo(&s, ", %s::pg_catalog.text[]", quote_literal_cstr(names));
	for (int i = 1; i <= n; i++)
		appendStringInfo(&s, ", $%d", i);
	appendStringInfoChar(&s, ')');
	return s.data;
}

/* ml_create_function(model name or value, function_name, output, class) */
ML_FUNCTION(ml_sql_create_function)
{
	Given		given = given_model(fcinfo);
	char	   *name = ml_keep_text(fcinfo, 1, "function_name");
	char	   *class = optional_text(fcinfo, 3);
	const MlModel *model = given.model;
	const char *kind = kind_of(model, optional_text(fcinfo, 2), class);
	int			most = FUNC_MAX_ARGS - (class ? 3 : 2);
	bool		label = strcmp(kind, "classify") == 0;
	char	   *type = label && model->target_type ? type_name(model->target_type) : label ? "pg_catalog.text" : "pg_catalog.float8";
	char	   *function;
	char	   *names;
	Oid			schema;
	oidvector  *types;
	StringInfoData arguments;

	if (model->encoder->schema->ncolumns > most)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_ARGUMENTS),
				 errmsg("model has more columns than a function can have arguments"),
				 errdetail("It has %d columns, and %d are possible.", model->encoder->schema->ncolumns, most),
				 errhint("Use ml_create_view, or ml_predict with a row.")));
	schema = QualifiedNameGetCreationNamespace(textToQualifiedNameList(cstring_to_text(name)), &name);
	function = quote_qualified_identifier(get_namespace_name(schema), name);
	initStringInfo(&arguments);
	list_columns(model->encoder->schema, &arguments, &types, &names);
	make_way(function, schema, name, types);
	run(psprintf("CREATE OR REPLACE FUNCTION %s(%s) RETURNS %s LANGUAGE sql %s PARALLEL SAFE RETURN %s%s%s%s",
				 function, arguments.data, type, volatility(&given, types), label ? "CAST(" : "",
				 body(&given, kind, class, names), label ? " AS " : "", label ? psprintf("%s)", type) : ""));
	run(psprintf("COMMENT ON FUNCTION %s(%s) IS %s", function, arguments.data,
				 quote_literal_cstr(given.name ? psprintf(FUNCTION_MARK "predictions of model \"%s\"", given.name)
									: FUNCTION_MARK "predictions of a model given as value")));
	PG_RETURN_OID(GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum(name), PointerGetDatum(types),
								  ObjectIdGetDatum(schema)));
}
