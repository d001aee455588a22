/*
 * moving.c - a model as one JSON document, to be carried to another database.
 *
 *   {"ml_ext": 1, "payload": base64 of the bytes of the ml_model,
 *    "checksum": SHA-256 in hexadecimal, "provenance": {what ml.version says}}
 *
 * The checksum is of "ml_ext 1\n", the provenance as jsonb prints it, "\n", and
 * the bytes of the payload: white space and the order of keys may change on the
 * way, nothing else.  It finds accidents; whoever writes a document can compute it.
 * So the document is read as if it came from an enemy: the bytes are checked like
 * those of any ml_model, and of the provenance nothing is ever run, which is why
 * the recipe is kept where ml_retrain does not look for one.
 */
#include "deploy/moving.h"

#include "core/acl.h"
#include "core/json.h"
#include "core/registry.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/base64.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"

#define DOCUMENT_VERSION 1
#define MAX_PAYLOAD (0x0FFFFFFF / 4 * 3)	/* what jsonb holds of base64 in one string */
#define HASH_BYTES ((size_t) 1 << 20)	/* between two looks at interrupts */
#define CHECKSUM_SIZE (2 * PG_SHA256_DIGEST_LENGTH)
#define BYTES_PER_BYTE 5		/* of a document while it is parsed, measured */
#define BYTES_PER_PIECE 200		/* and beside it for each comma, colon or bracket */

/* ---- checksum ---- */

static bool
hash_bytes(pg_cryptohash_ctx *ctx, const char *data, size_t size)
{
	bool		good = true;

	for (size_t at = 0; good && at < size; at += HASH_BYTES)
	{
		CHECK_FOR_INTERRUPTS();
		good = pg_cryptohash_update(ctx, (const uint8 *) data + at, Min(size - at, HASH_BYTES)) >= 0;
	}
	return good;
}

static void
make_checksum(const char *provenance, const char *payload, size_t size, char *hex)
{
	static const char head[] = "ml_ext 1\n";
	uint8		sha[PG_SHA256_DIGEST_LENGTH];
	char	   *utf8 = pg_server_to_any(provenance, (int) strlen(provenance), PG_UTF8);
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);

	if (ctx == NULL || pg_cryptohash_init(ctx) < 0 ||
		!hash_bytes(ctx, head, sizeof(head) - 1) || !hash_bytes(ctx, utf8, strlen(utf8)) ||
		!hash_bytes(ctx, "\n", 1) || !hash_bytes(ctx, payload, size) ||
		pg_cryptohash_final(ctx, sha, sizeof(sha)) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(ctx);
	hex_encode((const char *) sha, sizeof(sha), hex);
	hex[CHECKSUM_SIZE] = '\0';
}

/* ---- writing ---- */

/* What the catalog says of a version, which the caller may view. */
static char *
version_provenance(int64 version_id)
{
	MemoryContext cxt = CurrentMemoryContext;
	char	   *role = GetUserNameFromId(GetUserId(), false);
	Oid			types[] = {INT8OID, TEXTOID};
	Datum		values[] = {Int64GetDatum(version_id), CStringGetTextDatum(role)};
	MlOwnerWork work;
	char	   *json = NULL;

	ml_owner_begin(&work);
	set_config_option("extra_float_digits", "1", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	if (ml_owner_run("SELECT jsonb_build_object('name', m.name, 'version', v.version, 'algorithm', v.algorithm,"
					 " 'task', v.task, 'target', v.target, 'params', v.params, 'info', v.info, 'source', v.source,"
					 " 'rows_read', v.rows_read, 'rows_used', v.rows_used, 'rows_dropped', v.rows_dropped,"
					 " 'seed', v.seed, 'metric', v.metric, 'value', v.value, 'baseline', v.baseline,"
					 " 'warnings', v.warnings, 'elapsed', extract(epoch FROM v.elapsed), 'notes', v.notes,"
					 " 'trained_by', v.trained_by::text, 'session_role', v.session_role::text,"
					 " 'trained_at', v.trained_at, 'extension_version', v.extension_version,"
					 " 'fingerprint', encode(v.fingerprint, 'hex'), 'lineage', v.lineage, 'comment', v.comment,"
					 " 'stale', v.stale, 'database', current_database(), 'exported_by', $2,"
					 " 'exported_at', transaction_timestamp())"
					 " FROM ml.version v JOIN ml.model m USING (model_id) WHERE v.version_id = $1",
					 2, types, values, NULL) > 0)
		json = MemoryContextStrdup(cxt, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	MemoryContextSwitchTo(cxt);
	ml_owner_end(&work);
	MemoryContextSwitchTo(cxt);
	if (json == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the version of the model does not exist any more")));
	return json;
}

static void
add_json(StringInfo s, const char *key, Jsonb *value)
{
	appendStringInfo(s, ", \"%s\": %s", key, value ? JsonbToCString(NULL, &value->root, VARSIZE(value)) : "null");
}

static char *
jsonb_text(const char *json)
{
	Jsonb	   *value = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));

	return JsonbToCString(NULL, &value->root, VARSIZE(value));
}

static char *
value_provenance(const MlModel *model)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoChar(&s, '{');
	ml_json_put_text(&s, "algorithm", model->algorithm->name);
	ml_json_put_text(&s, "task", ml_task_name(model->task));
	ml_json_put_text(&s, "target", model->target);
	add_json(&s, "params", model->params);
	add_json(&s, "info", model->info);
	appendStringInfoChar(&s, '}');
	return jsonb_text(s.data);
}

text *
ml_document_write(struct varlena *value, const MlModel *model, int64 version_id)
{
	char	   *payload = VARDATA_ANY(value);
	size_t		size = VARSIZE_ANY_EXHDR(value);
	char	   *provenance;
	char		checksum[CHECKSUM_SIZE + 1];
	StringInfoData s;
	int			length;

	if (size > MAX_PAYLOAD)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a model of %zu bytes is too large for format \"ml\"", size),
				 errdetail("The limit is %d bytes.", MAX_PAYLOAD),
				 errhint("Move it with pg_dump, or as a value of type ml_model.")));
	provenance = version_id != 0 ? version_provenance(version_id) : value_provenance(model);
	make_checksum(provenance, payload, size, checksum);
	initStringInfo(&s);
	appendStringInfo(&s, "{\"ml_ext\": %d, \"payload\": \"", DOCUMENT_VERSION);
	length = pg_b64_enc_len((int) size);
	enlargeStringInfo(&s, length);
	length = pg_b64_encode((void *) payload, (int) size, s.data + s.len, length);
	if (length < 0)
		elog(ERROR, "could not encode a model as base64");
	s.len += length;
	s.data[s.len] = '\0';
	appendStringInfo(&s, "\", \"checksum\": \"%s\", \"provenance\": ", checksum);
	appendStringInfoString(&s, provenance);
	appendStringInfoChar(&s, '}');
	return cstring_to_text_with_len(s.data, s.len);
}

/* ---- reading ---- */

bool
ml_document_recognize(const char *bytes, size_t size)
{
	static const char key[] = "\"ml_ext\"";
	size_t		i = 0;

	for (int brace = 0; brace < 2; brace++)
	{
		while (i < size && (bytes[i] == ' ' || bytes[i] == '\t' || bytes[i] == '\r' || bytes[i] == '\n'))
			i++;
		if (brace == 0 && (i >= size || bytes[i++] != '{'))
			return false;
	}
	return size - i >= sizeof(key) - 1 && memcmp(bytes + i, key, sizeof(key) - 1) == 0;
}

static void bad_document(const char *detail, const char *key) ML_NORETURN;

static void
bad_document(const char *detail, const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("the model to be imported cannot be read"),
			 errdetail(detail, key)));
}

static JsonbValue *
get(Jsonb *object, const char *key)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&object->root, key, (int) strlen(key), NULL);

	return value == NULL || value->type == jbvNull ? NULL : value;
}

/* A string as it is, a number as it prints; NULL when there is none. */
static char *
get_text(Jsonb *object, const char *key)
{
	JsonbValue *value = get(object, key);

	if (value == NULL)
		return NULL;
	if (value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	if (value->type != jbvNumeric)
		bad_document("Member \"%s\" is neither text nor a number.", key);
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
}

static int64
get_count(Jsonb *object, const char *key)
{
	char	   *text = get_text(object, key);
	int64		n = text ? DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(text))) : 0;

	if (n < 0)
		bad_document("Member \"%s\" is negative.", key);
	return n;
}

static double
get_number(Jsonb *object, const char *key)
{
	char	   *text = get_text(object, key);

	return text ? DatumGetFloat8(DirectFunctionCall1(float8in, CStringGetDatum(text))) : get_float8_nan();
}

static Jsonb *
get_object(Jsonb *object, const char *key)
{
	JsonbValue *value = get(object, key);

	if (value == NULL || value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		bad_document("Member \"%s\" is no object.", key);
	return JsonbValueToJsonb(value);
}

static List *
get_warnings(Jsonb *object)
{
	JsonbValue *value = get(object, "warnings");
	JsonbValue	element;
	JsonbIterator *it;
	JsonbIteratorToken token;
	List	   *warnings = NIL;

	if (value == NULL)
		return NIL;
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		bad_document("Member \"%s\" is no array.", "warnings");
	it = JsonbIteratorInit(value->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (element.type != jbvString)
			bad_document("Member \"%s\" has an element that is no text.", "warnings");
		warnings = lappend(warnings, pnstrdup(element.val.string.val, element.val.string.len));
	}
	return warnings;
}

static const MlFingerprint *
get_fingerprint(Jsonb *object)
{
	char	   *hex = get_text(object, "fingerprint");
	MlFingerprint *fingerprint = palloc(sizeof(MlFingerprint));
	uint64		words[2];

	if (hex == NULL)
		return NULL;
	if (strlen(hex) != 2 * ML_FINGERPRINT_SIZE || strspn(hex, "0123456789abcdef") != 2 * ML_FINGERPRINT_SIZE)
		bad_document("Member \"%s\" is not 32 hexadecimal digits.", "fingerprint");
	hex_decode(hex, 2 * ML_FINGERPRINT_SIZE, (char *) words);
	fingerprint->sum[0] = pg_ntoh64(words[0]);
	fingerprint->sum[1] = pg_ntoh64(words[1]);
	return fingerprint;
}

/* The name of a metric goes into the audit as it is. */
static const char *
get_metric(Jsonb *object)
{
	char	   *metric = get_text(object, "metric");

	if (metric && (strlen(metric) >= NAMEDATALEN ||
				   metric[strspn(metric, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0'))
		bad_document("Member \"%s\" is not the name of a metric.", "metric");
	return metric;
}

static void
read_row(Jsonb *from, MlVersionRow *row)
{
	char	   *seed = get_text(from, "seed");

	row->source = get_text(from, "source");
	row->rows_read = get_count(from, "rows_read");
	row->rows_used = get_count(from, "rows_used");
	row->rows_dropped = get_count(from, "rows_dropped");
	row->seed = seed ? DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(seed))) : 0;
	row->metric = get_metric(from);
	row->value = get_number(from, "value");
	row->baseline = get_number(from, "baseline");
	row->warnings = get_warnings(from);
	row->elapsed = get_number(from, "elapsed");
	if (isnan(row->elapsed))
		row->elapsed = 0;		/* a value has none */
	if (row->elapsed < 0 || row->elapsed > 1e9)
		bad_document("Member \"%s\" is no time that a training takes.", "elapsed");
	row->notes = get_text(from, "notes");
	row->fingerprint = get_fingerprint(from);
	row->action = "import";
}

static char *
origin_text(Jsonb *from)
{
	char	   *name = get_text(from, "name");
	char	   *version = get_text(from, "version");
	char	   *role = get_text(from, "trained_by");
	char	   *at = get_text(from, "trained_at");

	if (!name || !version || !role || !at)
		return pstrdup("a model value");
	return psprintf("\"%s\" version %s, trained by %s at %s", name, version, role, at);
}

static struct varlena *
read_payload(Jsonb *document, size_t *size)
{
	JsonbValue *base64 = get(document, "payload");
	struct varlena *value;
	int			room;
	int			length;

	if (base64 == NULL || base64->type != jbvString)
		bad_document("Member \"%s\" is no text.", "payload");
	room = pg_b64_dec_len(base64->val.string.len);
	value = palloc(VARHDRSZ + room);
	length = pg_b64_decode(base64->val.string.val, base64->val.string.len, (void *) VARDATA(value), room);
	if (length < 0)
		bad_document("Member \"%s\" is not base64.", "payload");
	SET_VARSIZE(value, VARHDRSZ + length);
	*size = length;
	return value;
}

/* 53200, before jsonb takes memory that nobody counts. */
static void
check_memory(const char *bytes, size_t size)
{
	size_t		pieces = 0;

	for (size_t i = 0; i < size; i++)
	{
		if (i % HASH_BYTES == 0)
			CHECK_FOR_INTERRUPTS();
		pieces += bytes[i] == ',' || bytes[i] == ':' || bytes[i] == '[' || bytes[i] == '{';
	}
	ml_budget_check(BYTES_PER_BYTE * size + BYTES_PER_PIECE * pieces, "the document of a model");
}

void
ml_document_read(const char *bytes, size_t size, MlDocument *document)
{
	char	   *text;
	char	   *expected;
	char		checksum[CHECKSUM_SIZE + 1];
	Jsonb	   *all;
	Jsonb	   *provenance;
	size_t		payload;
	int64		version;

	if (memchr(bytes, '\0', size) != NULL)
		bad_document("It contains a byte %s.", "0");
	check_memory(bytes, size);
	text = pg_any_to_server(pnstrdup(bytes, size), (int) size, PG_UTF8);
	all = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	if (!JB_ROOT_IS_OBJECT(all) || get(all, "ml_ext") == NULL)
		bad_document("It is no object with a member \"%s\".", "ml_ext");
	version = get_count(all, "ml_ext");
	if (version != DOCUMENT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the document of the model has format %lld, this version reads up to %d",
						(long long) version, DOCUMENT_VERSION)));
	if (JB_ROOT_COUNT(all) != 4)
		bad_document("It must have the members ml_ext, payload, checksum, provenance and no %s.", "others");
	provenance = get_object(all, "provenance");
	document->provenance = JsonbToCString(NULL, &provenance->root, VARSIZE(provenance));
	document->value = read_payload(all, &payload);
	expected = get_text(all, "checksum");
	make_checksum(document->provenance, VARDATA(document->value), payload, checksum);
	if (expected == NULL || strcmp(expected, checksum) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the model to be imported is damaged"),
				 errdetail("The checksum of the document does not match.")));
	document->model = ml_model_unpack(document->value);
	read_row(provenance, &document->row);
	document->origin = origin_text(provenance);
}
