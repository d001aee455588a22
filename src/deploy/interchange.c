/*
 * interchange.c - ml_import and ml_export: models of other libraries.
 *
 * Which formats there are is the algorithms' to say; here are names, labels, text
 * encodings, the catalog and privileges.  Everything read lives in a context of
 * its own that goes with the call.
 */
#include "core/audit.h"
#include "core/catalog.h"
#include "core/predict.h"
#include "core/registry.h"
#include "deploy/moving.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* ---- formats ---- */

#define OWN_FORMAT "ml"			/* of models of any algorithm: moving.c */

typedef struct Format
{
	const MlAlgorithm *algorithm;
	const MlFormat *format;
} Format;

/* The format of that name, or without a name the one that recognizes the bytes. */
static Format
find_format(const char *name, const char *bytes, size_t size)
{
	StringInfoData known;

	initStringInfo(&known);
	appendStringInfoString(&known, "\"" OWN_FORMAT "\"");
	for (int i = 0; i < ml_registry_count(); i++)
	{
		const MlAlgorithm *algorithm = ml_registry_get(i);

		for (const MlFormat *const *f = algorithm->formats; f && *f; f++)
		{
			if (name ? strcmp((*f)->name, name) == 0 : (*f)->recognize(bytes, size))
				return (Format) {algorithm, *f};
			appendStringInfo(&known, ", \"%s\"", (*f)->name);
		}
	}
	if (name)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("format \"%s\" does not exist", name),
				 errhint("Formats are: %s.", known.data)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("the model to be imported is in no known format"),
			 errhint("Formats are: %s.", known.data)));
}

/* ---- import ---- */

static char **
text_array(FunctionCallInfo fcinfo, int n, const char *argument, int *count)
{
	Datum	   *values;
	bool	   *nulls;
	char	  **texts;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, count);
	texts = palloc(Max(*count, 1) * sizeof(char *));
	for (int i = 0; i < *count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not contain NULL", argument)));
		texts[i] = TextDatumGetCString(values[i]);
	}
	return texts;
}

static void
wrong_count(const char *argument, int given, int needed, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
			 errmsg("argument \"%s\" has %d names, but the model has %d %s", argument, given, needed, what)));
}

static int
compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Names that cannot tell two things apart, or cannot stand in a table. */
static void
check_names(char *const *names, int n, const char *argument, int limit)
{
	char	  **sorted = palloc(Max(n, 1) * sizeof(char *));

	memcpy(sorted, names, n * sizeof(char *));
	qsort(sorted, n, sizeof(char *), compare_texts);
	for (int i = 0; i < n; i++)
	{
		if (sorted[i][0] == '\0' || strlen(sorted[i]) > limit)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_NAME),
					 errmsg("\"%s\" cannot be one of the %s of a model", sorted[i], argument),
					 errhint("Give other names: %s => ARRAY[...].", argument)));
		if (i > 0 && strcmp(sorted[i - 1], sorted[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("\"%s\" appears twice in the %s of the model", sorted[i], argument),
					 errhint("Give other names: %s => ARRAY[...].", argument)));
	}
	pfree(sorted);
}

/* The columns: numbers all, a category by its code. */
static MlSchema *
make_schema(FunctionCallInfo fcinfo, const MlForeign *foreign)
{
	MlSchema   *schema = palloc0(sizeof(MlSchema));
	char	  **names = palloc(Max(foreign->p, 1) * sizeof(char *));
	int			n;

	if (PG_ARGISNULL(3))
		for (int j = 0; j < foreign->p; j++)
			names[j] = pg_any_to_server(foreign->names[j], strlen(foreign->names[j]), PG_UTF8);
	else
	{
		names = text_array(fcinfo, 3, "features", &n);
		if (n != foreign->p)
			wrong_count("features", n, foreign->p, "columns");
	}
	check_names(names, foreign->p, "features", NAMEDATALEN - 1);
	schema->ncolumns = schema->ncells = foreign->p;
	schema->columns = palloc0(Max(foreign->p, 1) * sizeof(MlColumn));
	for (int j = 0; j < foreign->p; j++)
	{
		schema->columns[j].name = names[j];
		schema->columns[j].type = foreign->levels[j] > 0 ? "integer" : "double precision";
		schema->columns[j].kind = ML_NUMBER;
		schema->columns[j].cells = 1;
		schema->columns[j].first_cell = j;
	}
	return schema;
}

static char **
make_labels(FunctionCallInfo fcinfo, int classes)
{
	char	  **labels;
	int			n;

	if (!PG_ARGISNULL(5))
	{
		labels = text_array(fcinfo, 5, "labels", &n);
		if (n != classes)
			wrong_count("labels", n, classes, "classes");
		check_names(labels, n, "labels", INT32_MAX);
		return labels;
	}
	labels = palloc(Max(classes, 1) * sizeof(char *));
	for (int k = 0; k < classes; k++)
		labels[k] = psprintf("%d", k);
	return labels;
}

static Jsonb *
make_info(const char *note)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, "{\"imported\": ");
	escape_json(&s, pg_any_to_server(note, strlen(note), PG_UTF8));
	appendStringInfoString(&s, "}");
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(s.data)));
}

static MlModel *
make_model(FunctionCallInfo fcinfo, const MlAlgorithm *algorithm, const MlForeign *foreign)
{
	MlModel    *model = palloc0(sizeof(MlModel));

	model->algorithm = algorithm;
	model->task = foreign->task;
	model->classes = foreign->classes;
	model->labels = make_labels(fcinfo, foreign->classes);
	model->target = PG_ARGISNULL(4) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(4));
	if (model->target)
		model->target_type = foreign->classes > 0 ? "text" : "double precision";
	model->params = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));	/* not known */
	model->info = make_info(foreign->note);
	model->encoder = ml_encoder_plain(make_schema(fcinfo, foreign), ML_IMPUTE_NATIVE, NULL);
	model->fit = foreign->model;
	return model;
}

/*
 * What is known of a model from elsewhere: its kind, its columns, who brought it,
 * and what it says of itself (provenance: a JSON object, or NULL).
 */
static char *
import_lineage(const MlModel *model, const char *format, const char *note, const char *provenance)
{
	const char *texts[][2] = {
		{"format", format}, {"origin", note}, {"role", GetUserNameFromId(GetUserId(), false)},
		{"session_role", GetUserNameFromId(GetSessionUserId(), false)}
	};
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, "{\"columns\": [");
	for (int i = 0; i < model->encoder->schema->ncolumns; i++)
	{
		appendStringInfoString(&s, i > 0 ? ", {\"name\": " : "{\"name\": ");
		escape_json(&s, model->encoder->schema->columns[i].name);
		appendStringInfoString(&s, ", \"role\": \"feature\", \"type\": ");
		escape_json(&s, model->encoder->schema->columns[i].type);
		appendStringInfoChar(&s, '}');
	}
	appendStringInfoChar(&s, ']');
	for (int i = 0; i < lengthof(texts); i++)
	{
		appendStringInfo(&s, ", \"%s\": ", texts[i][0]);
		escape_json(&s, texts[i][1]);
	}
	if (provenance)
	{
		appendStringInfoString(&s, ", \"imported\": ");
		appendStringInfoString(&s, provenance);
	}
	appendStringInfoChar(&s, '}');
	return s.data;
}

/* A model of another library, whose names are to be found. */
static void
read_foreign(FunctionCallInfo fcinfo, const char *format, const char *bytes, size_t size, MlDocument *read)
{
	Format		found = find_format(format, bytes, size);
	MlForeign	foreign = {0};

	found.format->read(bytes, size, &foreign);
	read->model = make_model(fcinfo, found.algorithm, &foreign);
	read->value = ml_model_pack(read->model);
	read->origin = pg_any_to_server(foreign.note, strlen(foreign.note), PG_UTF8);
	read->row.source = psprintf("%s model", found.format->name);
	read->row.value = read->row.baseline = get_float8_nan();
	read->row.notes = read->origin;
	read->row.action = "import";
	read->row.lineage = import_lineage(read->model, found.format->name, read->origin, NULL);
}

/* A model that knows its names. */
static void
read_own(FunctionCallInfo fcinfo, const char *bytes, size_t size, MlDocument *read)
{
	static const char *const arguments[] = {"features", "target", "labels"};
	StringInfoData s;

	for (int i = 0; i < lengthof(arguments); i++)
		if (!PG_ARGISNULL(3 + i))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"%s\" cannot be given with format \"%s\"", arguments[i], OWN_FORMAT)));
	ml_document_read(bytes, size, read);
	read->row.lineage = import_lineage(read->model, OWN_FORMAT, read->origin, read->provenance);
	initStringInfo(&s);
	appendStringInfoString(&s, ", \"origin\": ");
	escape_json(&s, read->origin);
	read->row.detail = s.data;
}

/* ml_import(model, data text or bytea, format, features, target, labels) */
ML_FUNCTION(ml_sql_import)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(caller, "ml_ext import", ALLOCSET_DEFAULT_SIZES);
	TimestampTz start = GetCurrentTimestamp();
	bool		binary = get_fn_expr_argtype(fcinfo->flinfo, 1) == BYTEAOID;
	struct varlena *data;
	char	   *name;
	char	   *bytes;
	size_t		size;
	char	   *format;
	MlDocument	read = {0};
	TupleDesc	desc;
	Datum		values[6];
	bool		nulls[6] = {false};
	int			version;

	PreventCommandIfReadOnly("ml_import()");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", PG_ARGISNULL(0) ? "model" : "data")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "ml_import must return a row");
	desc = BlessTupleDesc(desc);
	MemoryContextSwitchTo(cxt);
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ml_catalog_check_store(name);
	data = PG_GETARG_VARLENA_PP(1);
	bytes = VARDATA_ANY(data);
	size = VARSIZE_ANY_EXHDR(data);
	if (!binary)
	{
		char	   *utf8 = pg_server_to_any(bytes, (int) size, PG_UTF8);

		size = utf8 == bytes ? size : strlen(utf8);
		bytes = utf8;
	}
	format = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
	if (format ? strcmp(format, OWN_FORMAT) == 0 : ml_document_recognize(bytes, size))
		read_own(fcinfo, bytes, size, &read);
	else
	{
		read_foreign(fcinfo, format, bytes, size, &read);
		read.row.elapsed = (GetCurrentTimestamp() - start) / 1e6;
	}
	version = ml_catalog_store(name, read.value, read.model, &read.row);

	MemoryContextSwitchTo(caller);
	values[0] = CStringGetTextDatum(name);
	values[1] = Int32GetDatum(version);
	values[2] = CStringGetTextDatum(read.model->algorithm->name);
	values[3] = CStringGetTextDatum(ml_task_name(read.model->task));
	values[4] = Int32GetDatum(read.model->encoder->schema->ncolumns);
	values[5] = CStringGetTextDatum(read.origin);
	MemoryContextDelete(cxt);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/* ---- export ---- */

/* What another library cannot do before its trees: everything but numbers and categories as they are. */
static void
check_encoding(const MlEncoder *enc, const char *format)
{
	for (int i = 0; i < enc->schema->ncolumns; i++)
	{
		const MlEncoding *e = &enc->columns[i];
		bool		as_is = e->code == ML_CODE_LEVEL ||
			(e->code == ML_CODE_NUMBER && e->impute == ML_IMPUTE_NATIVE && !e->indicator);

		for (int c = 0; as_is && e->code == ML_CODE_NUMBER && c < enc->schema->columns[i].cells; c++)
			as_is = (e->center == NULL || e->center[c] == 0) && (e->scale == NULL || e->scale[c] == 1);
		if (!as_is)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a model with column \"%s\" of type %s cannot be written in format \"%s\"",
							enc->schema->columns[i].name, enc->schema->columns[i].type, format),
					 errdetail("The model changes the values of this column before it uses them, which the format cannot tell.")));
	}
}

/* The categories of a column, in the order of the numbers that the model has for them. */
static void
put_categories(StringInfo s, const MlColumn *col, const MlEncoding *e)
{
	int		   *level = palloc(Max(e->nlevels, 1) * sizeof(int));

	for (int k = 0; k < e->nlevels; k++)
		level[k] = -1;
	for (int c = 0; c < e->nlevels; c++)
		if (e->slot[c] >= 0)
			level[e->slot[c]] = c;
	for (int k = 0; k < e->nlevels && level[k] >= 0; k++)
	{
		int			length;

		appendStringInfoString(s, k > 0 ? ", " : "");
		escape_json(s, ml_dict_get(col->dict, level[k], &length));
	}
	pfree(level);
}

/* {"categories": {"cut": ["Fair", ...]}, "labels": [...]}: which code is which text. */
static char *
make_note(const MlModel *model)
{
	const MlSchema *schema = model->encoder->schema;
	StringInfoData s;
	const char *comma = "";

	initStringInfo(&s);
	appendStringInfoString(&s, "{\"categories\": {");
	for (int i = 0; i < schema->ncolumns; i++)
	{
		if (model->encoder->columns[i].code != ML_CODE_LEVEL)
			continue;
		appendStringInfoString(&s, comma);
		escape_json(&s, schema->columns[i].name);
		appendStringInfoString(&s, ": [");
		put_categories(&s, &schema->columns[i], &model->encoder->columns[i]);
		appendStringInfoString(&s, "]");
		comma = ", ";
	}
	appendStringInfoString(&s, "}, \"labels\": [");
	for (int k = 0; k < model->classes; k++)
	{
		appendStringInfoString(&s, k > 0 ? ", " : "");
		escape_json(&s, model->labels[k]);
	}
	appendStringInfoString(&s, "]}");
	return pg_server_to_any(s.data, s.len, PG_UTF8);
}

/* Only of a model by name is it known whose it is. */
static void
audit_export(FunctionCallInfo fcinfo, const char *format)
{
	MlModelRef	ref;

	if (get_fn_expr_argtype(fcinfo->flinfo, 0) != TEXTOID)
		return;
	ml_catalog_resolve(text_to_cstring(PG_GETARG_TEXT_PP(0)), ML_VIEW, false, &ref);
	ml_audit("export", ref.model_id, ref.name, ref.version, psprintf("{\"format\": \"%s\"}", format));
}

/* The bytes as they are kept, so that what is read again is the same. */
static text *
export_own(FunctionCallInfo fcinfo, const MlSite *site)
{
	bool		named = get_fn_expr_argtype(fcinfo->flinfo, 0) == TEXTOID;
	struct varlena *value = named ? ml_catalog_payload(site->version_id) :
		(struct varlena *) PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));

	audit_export(fcinfo, OWN_FORMAT);
	return ml_document_write(value, site->model, named ? site->version_id : 0);
}

static bool
can_write(const MlAlgorithm *algorithm, const MlFormat *format)
{
	for (const MlFormat *const *f = algorithm->formats; f && *f; f++)
		if (*f == format)
			return true;
	for (const MlFormat *const *f = algorithm->writes; f && *f; f++)
		if (*f == format)
			return true;
	return false;
}

static text *
export_foreign(FunctionCallInfo fcinfo, const MlModel *model, const char *name)
{
	const MlEncoder *enc = model->encoder;
	Format		found = find_format(name, NULL, 0);
	MlForeign	foreign = {0};
	char	  **names = palloc(Max(enc->p, 1) * sizeof(char *));
	MlWriter	writer;

	if (found.format->write == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("format \"%s\" can be read, but not written", name)));
	if (!can_write(model->algorithm, found.format))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a model of algorithm \"%s\" cannot be written in format \"%s\"", model->algorithm->name, name)));
	check_encoding(enc, name);
	for (int j = 0; j < enc->p; j++)
		names[j] = pg_server_to_any(enc->names[j], strlen(enc->names[j]), PG_UTF8);
	foreign.task = model->task;
	foreign.p = enc->p;
	foreign.classes = model->classes;
	foreign.names = (const char *const *) names;
	foreign.note = make_note(model);
	foreign.model = model->fit;
	ml_writer_init(&writer);
	found.format->write(&foreign, &writer);
	audit_export(fcinfo, found.format->name);
	return cstring_to_text(pg_any_to_server(writer.buf.data, writer.buf.len, PG_UTF8));
}

/* ml_export(model name or value, format) */
ML_FUNCTION(ml_sql_export)
{
	const MlSite *site = ml_site_detailed(fcinfo, ML_VIEW);
	const char *format = text_to_cstring(PG_GETARG_TEXT_PP(1));

	if (strcmp(format, OWN_FORMAT) == 0)
		PG_RETURN_TEXT_P(export_own(fcinfo, site));
	PG_RETURN_TEXT_P(export_foreign(fcinfo, site->model, format));
}
