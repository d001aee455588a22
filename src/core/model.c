/*
 * model.c - the bytes of a model, the type ml_model, and where the extension's
 * types are.
 *
 * A value is a varlena header, then in network order:
 *
 *   u32       magic "MLM1"
 *   u32       format version
 *   16 bytes  first half of the SHA-256 of all that follows: checksum and id
 *   u32       from format 3 on: CRC-32C of what follows, to the end of the head
 *   u32       from format 3 on: bytes from the magic to the end of the head; the highest bit says that there is a profile
 *   head      algorithm name, format of its payload, task, class labels,
 *             target and its type, encoder, payload (length first), but not what its algorithm has for other things
 *             than predictions
 *   tail      the rest of the payload, params and info (jsonb as text), summaries of the training rows, and their profile
 *
 * Before format 4 params and info stand before the encoder, and the head has all of the payload; format 2
 * always has a profile, and 1 never.
 *
 * The digest finds accidents.  It protects nothing: whoever can write a value
 * can compute it, so the body is read as if it came from an enemy.  Everything
 * unpacked lives in the context current at the call.
 *
 * A prediction needs the head alone, which for a linear model is a hundredth of the value, and two thirds for trees.
 * So the first of a session reads no more of a stored version, and has the CRC
 * for accidents, which costs a tenth of the digest.  A value from elsewhere is checked whole, since
 * the cache knows it by the digest.
 *
 * Parsing (parse_model and below) uses the readers of ml.h, palloc and the
 * algorithm's load alone, no catalog.
 */
#include "core/model.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "common/cryptohash.h"
#include "common/sha2.h"
#include "core/host.h"
#include "core/registry.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#define MODEL_MAGIC 0x4D4C4D31	/* "MLM1" */
#define MODEL_FORMAT 4
#define MAX_CLASSES 1000000		/* labels take memory several times their bytes */
#define DIGEST_AT 8
#define DIGEST_BYTES ((size_t) 1 << 20)	/* between two looks at interrupts: a few milliseconds */
#define BODY_AT (DIGEST_AT + ML_MODEL_ID_SIZE)
#define CRC_AT BODY_AT			/* format 3 */
#define HEAD_SIZE_AT (CRC_AT + sizeof(uint32))
#define HEAD_AT (HEAD_SIZE_AT + sizeof(uint32))
#define HEAD_FORMAT 3			/* the first that has a head of its own */
#define BRIEF_FORMAT 4			/* the first whose head has no more than a prediction needs */
#define HAS_PROFILE 0x80000000u

/* ---- digest ---- */

static void
digest(const char *data, size_t size, uint8 *id)
{
	uint8		sha[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);
	bool		good = ctx != NULL && pg_cryptohash_init(ctx) >= 0;

	for (size_t at = 0; good && at < size; at += DIGEST_BYTES)
	{
		CHECK_FOR_INTERRUPTS();
		good = pg_cryptohash_update(ctx, (const uint8 *) data + at, Min(size - at, DIGEST_BYTES)) >= 0;
	}
	if (!good ||
		pg_cryptohash_final(ctx, sha, sizeof(sha)) < 0)
		elog(ERROR, "could not compute SHA-256");
	pg_cryptohash_free(ctx);
	memcpy(id, sha, ML_MODEL_ID_SIZE);
}

static uint32
head_crc(const char *data, size_t head)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	for (size_t at = HEAD_SIZE_AT; at < head; at += DIGEST_BYTES)
	{
		CHECK_FOR_INTERRUPTS();
		COMP_CRC32C(crc, data + at, Min(head - at, DIGEST_BYTES));
	}
	FIN_CRC32C(crc);
	return crc;
}

static uint32
word_at(const char *data, size_t at)
{
	uint32		net;

	memcpy(&net, data + at, sizeof(net));
	return pg_ntoh32(net);
}

static void
put_word(char *data, size_t at, uint32 word)
{
	uint32		net = pg_hton32(word);

	memcpy(data + at, &net, sizeof(net));
}

void
ml_model_id(struct varlena *value, uint8 *id)
{
	if (VARSIZE_ANY_EXHDR(value) < BODY_AT)
		ml_corrupt("The model has %zu bytes.", (size_t) VARSIZE_ANY_EXHDR(value));
	memcpy(id, VARDATA_ANY(value) + DIGEST_AT, ML_MODEL_ID_SIZE);
}

/* ---- pack ---- */

static void
save_jsonb(MlWriter *writer, Jsonb *value)
{
	ml_write_text(writer, value ? JsonbToCString(NULL, &value->root, VARSIZE(value)) : NULL);
}

/* The parts of the arrays that are in use. */
static void
save_summary(MlWriter *writer, const MlSummary *s)
{
	size_t		items = 0;

	ml_write_f64s(writer, (const double[]) {
				  s->n, s->nulls, s->nan, s->pos_inf, s->neg_inf, s->integers,
				  s->min, s->max, s->mean, s->m2}, 10);
	ml_write_u64(writer, s->kmv_max);
	ml_write_u64(writer, s->seed);
	ml_write_u32(writer, s->kmv_n);
	for (uint32 i = 0; i < s->kmv_n; i++)
		ml_write_u64(writer, s->kmv[i]);
	ml_write_u32(writer, s->kll_levels);
	for (uint32 i = 0; i < s->kll_levels; i++)
	{
		ml_write_u32(writer, s->kll_size[i]);
		items += s->kll_size[i];
	}
	ml_write_f64s(writer, s->kll, items);
}

/* Returns where what a prediction needs of it ends. */
static int
save_payload(MlWriter *writer, const MlModel *model)
{
	int			at = writer->buf.len;

	ml_write_u32(writer, 0);	/* its place: a payload may be too large to be copied */
	model->algorithm->save(model->fit, writer);
	put_word(writer->buf.data, at, (uint32) (writer->buf.len - at) - sizeof(uint32));
	return writer->rest >= 0 ? writer->rest : writer->buf.len;
}

struct varlena *
ml_model_pack(const MlModel *model)
{
	MlWriter	writer;
	char	   *data;
	size_t		head;

	ml_writer_init(&writer);
	/* The varlena header, so that the buffer becomes the value. */
	appendStringInfoSpaces(&writer.buf, VARHDRSZ);
	ml_write_u32(&writer, MODEL_MAGIC);
	ml_write_u32(&writer, MODEL_FORMAT);
	appendStringInfoSpaces(&writer.buf, HEAD_AT - DIGEST_AT);

	ml_write_text(&writer, model->algorithm->name);
	ml_write_u32(&writer, model->algorithm->format);
	ml_write_u32(&writer, model->task);
	ml_write_u32(&writer, model->classes);
	for (int i = 0; i < model->classes; i++)
		ml_write_text(&writer, model->labels[i]);
	ml_write_text(&writer, model->target);
	ml_write_text(&writer, model->target_type);
	ml_encoder_save(model->encoder, &writer);
	head = save_payload(&writer, model) - VARHDRSZ;
	save_jsonb(&writer, model->params);
	save_jsonb(&writer, model->info);
	ml_write_u32(&writer, model->summaries ? model->nsummaries : 0);
	for (int i = 0; model->summaries && i < model->nsummaries; i++)
		save_summary(&writer, &model->summaries[i]);
	if (model->profile)
		ml_profile_save(model->profile, &writer);

	data = writer.buf.data;
	put_word(data + VARHDRSZ, HEAD_SIZE_AT, head | (model->profile ? HAS_PROFILE : 0));
	put_word(data + VARHDRSZ, CRC_AT, head_crc(data + VARHDRSZ, head));
	digest(data + VARHDRSZ + BODY_AT, writer.buf.len - VARHDRSZ - BODY_AT,
		   (uint8 *) data + VARHDRSZ + DIGEST_AT);
	SET_VARSIZE(data, writer.buf.len);
	return (struct varlena *) data;
}

/* ---- unpack ---- */

/*
 * Parses the text of an object.  What jsonb's input complains about is damage
 * here; it holds no lock or pin then, so the error can be replaced.
 */
static Jsonb *
load_jsonb(MlReader *reader)
{
	char	   *text = ml_read_text(reader);
	MemoryContext cxt = CurrentMemoryContext;
	Jsonb	   *volatile value = NULL;

	if (text == NULL)
		return NULL;

	PG_TRY();
	{
		value = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	}
	PG_CATCH();
	{
		int			category;
		ErrorData  *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category != ERRCODE_DATA_EXCEPTION && category != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		FlushErrorState();
		ml_corrupt("JSON cannot be read: %s.", error->message);
	}
	PG_END_TRY();

	if (!JB_ROOT_IS_OBJECT(value))
		ml_corrupt("JSON is not an object.");
	pfree(text);
	return value;
}

static void
load_summary(MlReader *reader, MlSummary *s)
{
	double	   *const moments[] = {
		&s->n, &s->nulls, &s->nan, &s->pos_inf, &s->neg_inf, &s->integers,
		&s->min, &s->max, &s->mean, &s->m2
	};
	uint32		items = 0;

	for (int i = 0; i < lengthof(moments); i++)
		*moments[i] = ml_read_f64(reader);
	s->kmv_max = ml_read_u64(reader);
	s->seed = ml_read_u64(reader);
	s->kmv_n = ml_read_u32(reader, ML_KMV_SIZE);
	for (uint32 i = 0; i < s->kmv_n; i++)
		s->kmv[i] = ml_read_u64(reader);
	memset(s->kll_size, 0, sizeof(s->kll_size));	/* of a summary read before; what else it left is not looked at */
	s->kll_levels = ml_read_u32(reader, ML_KLL_LEVELS);
	for (uint32 i = 0; i < s->kll_levels; i++)
	{
		s->kll_size[i] = ml_read_u32(reader, ML_KLL_ITEMS - items);
		items += s->kll_size[i];
	}
	for (uint32 i = 0; i < items; i++)
		s->kll[i] = ml_read_finite(reader);
	if (!ml_summary_valid(s))
		ml_corrupt("The summary of a column contradicts itself.");
}

/* Reads all, and keeps them or not. */
static void
load_summaries(MlReader *reader, MlModel *model, bool keep)
{
	const int	least = 10 * sizeof(double) + 2 * sizeof(uint64) + 2 * sizeof(uint32);
	int			n = ml_read_u32(reader, Min(ml_read_left(reader) / least, INT_MAX));
	MlSummary  *s;

	if (n == 0)
		return;
	if (n != model->encoder->schema->ncells)
		ml_corrupt("There are %d summaries of %d cells.", n, model->encoder->schema->ncells);
	s = palloc_extended((Size) (keep ? n : 1) * sizeof(MlSummary), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int i = 0; i < n; i++)
		load_summary(reader, keep ? &s[i] : s);
	if (keep)
	{
		model->summaries = s;
		model->nsummaries = n;
	}
	else
		pfree(s);
}

static void
load_labels(MlReader *reader, MlModel *model)
{
	MlDict	   *seen;

	model->classes = ml_read_u32(reader, Min(ml_read_left(reader) / 4, MAX_CLASSES));
	if (model->task == ML_CLASSIFICATION ? model->classes < 2 : model->classes != 0)
		ml_corrupt("The model has %d classes.", model->classes);
	if (model->classes == 0)
		return;

	model->labels = palloc(model->classes * sizeof(char *));
	seen = ml_dict_create(CurrentMemoryContext);
	for (int i = 0; i < model->classes; i++)
	{
		model->labels[i] = ml_read_text(reader);
		if (model->labels[i] == NULL ||
			ml_dict_intern(seen, model->labels[i], strlen(model->labels[i])) != i)
			ml_corrupt("Class %d has no label of its own.", i);
	}
}

/* Finds the algorithm and checks that it reads this payload; returns the payload's format. */
static int
load_algorithm(MlReader *reader, MlModel *model)
{
	char	   *name = ml_read_text(reader);
	int			format = ml_read_u32(reader, INT_MAX);

	if (name == NULL)
		ml_corrupt("The algorithm's name is missing.");
	model->algorithm = ml_registry_find(name, true);
	if (model->algorithm == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model needs algorithm \"%s\", which this version does not have", name)));
	if (format > model->algorithm->format)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model of algorithm \"%s\" has format %d, this version reads up to %d",
						name, format, model->algorithm->format)));
	if (format < 1)
		ml_corrupt("The payload's format is %d.", format);
	return format;
}

/* Where the head ends is known if that is not 0; then it ends in the payload, or with it. */
static void
load_payload(MlReader *reader, MlModel *model, int format, size_t head)
{
	MlReader	payload;
	size_t		size = ml_read_u32(reader, PG_UINT32_MAX);
	size_t		needed = head == 0 ? size : head - reader->at;

	if (needed > size)
		ml_corrupt("The head ends at byte %zu, but the payload of %zu bytes begins at %zu.", head, size, reader->at);
	model->brief = reader->size == head;
	if (model->brief)
		size = needed;
	if (size > ml_read_left(reader))
		ml_corrupt("The payload has %zu bytes, but only %zu are left.", size, ml_read_left(reader));
	ml_reader_init(&payload, reader->data + reader->at, size);
	payload.brief = model->brief;
	if (head != 0)
		payload.rest = needed;
	model->fit = model->algorithm->load(&payload, format, model->encoder->p, model->classes);
	if (ml_read_left(&payload) != 0)
		ml_corrupt("%zu bytes follow the payload.", ml_read_left(&payload));
	if (payload.rest < size)
		ml_corrupt("The head ends inside the payload, at byte %zu.", head);
	reader->at += size;
}

/* Reads it, and keeps it or not. */
static void
load_profile(MlReader *reader, MlModel *model, bool keep)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml model profile", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlProfile  *profile = ml_profile_load(reader, model->encoder->schema, model->classes);

	MemoryContextSwitchTo(old);
	if (keep)
		model->profile = profile;
	else
		MemoryContextDelete(cxt);
}

static void
load_texts(MlReader *reader, MlModel *model)
{
	model->params = load_jsonb(reader);
	model->info = load_jsonb(reader);
	if (model->params == NULL || model->info == NULL)
		ml_corrupt("The parameters or the history are missing.");
}

static MlModel *
parse_head(MlReader *reader, uint32 format, size_t head)
{
	MlModel    *model = palloc0(sizeof(MlModel));
	int			payload_format = load_algorithm(reader, model);

	model->task = ml_read_u32(reader, PG_UINT32_MAX);
	if ((model->task != ML_REGRESSION && model->task != ML_CLASSIFICATION && model->task != ML_ANOMALY) ||
		(model->task & model->algorithm->tasks) == 0)
		ml_corrupt("The task is %u.", model->task);
	load_labels(reader, model);
	model->target = ml_read_text(reader);
	model->target_type = ml_read_text(reader);
	if ((model->task == ML_ANOMALY && model->target != NULL) ||
		(model->target == NULL) != (model->target_type == NULL))
		ml_corrupt("The target or its type is missing.");
	if (format < BRIEF_FORMAT)
		load_texts(reader, model);
	model->encoder = ml_encoder_load(reader);
	load_payload(reader, model, payload_format, format < BRIEF_FORMAT ? 0 : head);
	return model;
}

/* Begins to read a model: its format, and where its head ends; 0: that is not known. */
static uint32
read_format(const char *data, size_t size, size_t *head)
{
	uint32		format;

	if (size < BODY_AT || word_at(data, 0) != MODEL_MAGIC)
		ml_corrupt("The bytes do not begin as a model does.");
	format = word_at(data, sizeof(uint32));
	if (format > MODEL_FORMAT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("model has format %u, this version reads up to %d", format, MODEL_FORMAT)));
	if (format < 1)
		ml_corrupt("The model has format %u.", format);
	*head = 0;
	if (format >= HEAD_FORMAT)
	{
		if (size < HEAD_AT)
			ml_corrupt("The model has %zu bytes.", size);
		*head = word_at(data, HEAD_SIZE_AT) & ~HAS_PROFILE;
		if (*head < HEAD_AT || *head > size)
			ml_corrupt("The head of the model has %zu bytes of %zu.", *head, size);
	}
	return format;
}

static void
check_crc(const char *data, size_t head)
{
	if (head_crc(data, head) != word_at(data, CRC_AT))
		ml_corrupt("The checksum of the head does not match.");
}

/* Reads a model from the bytes behind the varlena header. */
static MlModel *
unpack_bytes(const char *data, size_t size, bool whole)
{
	MlReader	reader;
	MlModel    *model;
	size_t		head;
	uint32		format = read_format(data, size, &head);
	uint8		id[ML_MODEL_ID_SIZE];

	digest(data + BODY_AT, size - BODY_AT, id);
	if (memcmp(id, data + DIGEST_AT, ML_MODEL_ID_SIZE) != 0)
		ml_corrupt("The checksum does not match.");
	if (head > 0)
		check_crc(data, head);

	ml_reader_init(&reader, data, size);
	reader.at = head > 0 ? HEAD_AT : BODY_AT;
	model = parse_head(&reader, format, head);
	if (format == HEAD_FORMAT && reader.at != head)
		ml_corrupt("The head of the model has %zu bytes, not %zu.", reader.at, head);
	if (format >= BRIEF_FORMAT)
		load_texts(&reader, model);
	load_summaries(&reader, model, whole);
	if (format == 2 || (head > 0 && (word_at(data, HEAD_SIZE_AT) & HAS_PROFILE) != 0))
		load_profile(&reader, model, whole);
	if (ml_read_left(&reader) != 0)
		ml_corrupt("%zu bytes follow the model.", ml_read_left(&reader));
	return model;
}

static MlModel *
unpack(struct varlena *value, bool whole)
{
	struct varlena *flat = PG_DETOAST_DATUM_PACKED(PointerGetDatum(value));
	MlModel    *model = unpack_bytes(VARDATA_ANY(flat), VARSIZE_ANY_EXHDR(flat), whole);

	if (flat != value)
		pfree(flat);
	return model;
}

MlModel *
ml_model_unpack(struct varlena *value)
{
	return unpack(value, false);
}

MlModel *
ml_model_unpack_whole(struct varlena *value)
{
	return unpack(value, true);
}

struct varlena *
ml_model_head(Datum value)
{
	struct varlena *start;
	size_t		head = 0;

	if (!VARATT_IS_EXTENDED(DatumGetPointer(value)))
		return PG_DETOAST_DATUM_COPY(value);
	start = PG_DETOAST_DATUM_SLICE(value, 0, HEAD_AT);
	if (VARSIZE_ANY_EXHDR(start) == HEAD_AT && word_at(VARDATA_ANY(start), 0) == MODEL_MAGIC &&
		word_at(VARDATA_ANY(start), sizeof(uint32)) >= HEAD_FORMAT)
		head = word_at(VARDATA_ANY(start), HEAD_SIZE_AT) & ~HAS_PROFILE;
	pfree(start);
	/* what is damaged is read whole, and complained about */
	if (head == 0 || head > MaxAllocSize)
		return PG_DETOAST_DATUM_COPY(value);
	return PG_DETOAST_DATUM_SLICE(value, 0, (int32) head);
}

MlModel *
ml_model_unpack_head(struct varlena *value)
{
	const char *data = VARDATA_ANY(value);
	MlReader	reader;
	MlModel    *model;
	size_t		head;
	uint32		format = read_format(data, VARSIZE_ANY_EXHDR(value), &head);

	if (format < HEAD_FORMAT)
		return unpack_bytes(data, VARSIZE_ANY_EXHDR(value), false);
	check_crc(data, head);
	ml_reader_init(&reader, data, head);
	reader.at = HEAD_AT;
	model = parse_head(&reader, format, head);
	if (ml_read_left(&reader) != 0)
		ml_corrupt("%zu bytes follow the payload.", ml_read_left(&reader));
	return model;
}

/* ---- the type ---- */

/* Raises the error that using the value would raise. */
static void
check_bytes(const char *data, size_t size)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml model check",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);

	unpack_bytes(data, size, false);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

ML_FUNCTION(ml_sql_model_in)
{
	const char *text = PG_GETARG_CSTRING(0);
	size_t		digits = strlen(text);
	struct varlena *value;
	size_t		size;

	if (digits < 2 || text[0] != '\\' || text[1] != 'x')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s", "ml_model"),
				 errdetail("A model begins with \"\\x\", followed by hexadecimal digits.")));
	digits -= 2;
	value = palloc(VARHDRSZ + digits / 2 + 1);
	size = hex_decode(text + 2, digits, VARDATA(value));
	SET_VARSIZE(value, VARHDRSZ + size);
	check_bytes(VARDATA(value), size);
	PG_RETURN_POINTER(value);
}

ML_FUNCTION(ml_sql_model_out)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	size_t		size = VARSIZE_ANY_EXHDR(value);
	char	   *text = palloc_extended(2 * size + 3, MCXT_ALLOC_HUGE);

	text[0] = '\\';
	text[1] = 'x';
	hex_encode(VARDATA_ANY(value), size, text + 2);
	text[2 * size + 2] = '\0';
	PG_RETURN_CSTRING(text);
}

ML_FUNCTION(ml_sql_model_recv)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			size = buf->len - buf->cursor;
	struct varlena *value = palloc(VARHDRSZ + size);

	pq_copymsgbytes(buf, VARDATA(value), size);
	SET_VARSIZE(value, VARHDRSZ + size);
	check_bytes(VARDATA(value), size);
	PG_RETURN_POINTER(value);
}

ML_FUNCTION(ml_sql_model_send)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbytes(&buf, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ---- where the extension is ---- */

/* Found once; any change of a type (DROP, CREATE or ALTER EXTENSION among them) forgets them. */
static Oid	extension_schema = InvalidOid;
static Oid	model_type = InvalidOid;
static Oid	state_type = InvalidOid;

static void
forget_extension(Datum arg, int cacheid, uint32 hashvalue)
{
	extension_schema = model_type = state_type = InvalidOid;
}

static Oid
find_extension_schema(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			schema = InvalidOid;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("ml_ext"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		schema = ((Form_pg_extension) GETSTRUCT(tuple))->extnamespace;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	if (!OidIsValid(schema))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" does not exist", "ml_ext")));
	return schema;
}

static Oid
find_type(const char *name)
{
	Oid			type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
									   ObjectIdGetDatum(ml_extension_schema()));

	if (!OidIsValid(type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("type \"%s\" does not exist", name)));
	return type;
}

Oid
ml_extension_schema(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(TYPEOID, forget_extension, (Datum) 0);
		registered = true;
	}
	if (!OidIsValid(extension_schema))
		extension_schema = find_extension_schema();
	return extension_schema;
}

Oid
ml_model_type(void)
{
	if (!OidIsValid(model_type))
		model_type = find_type("ml_model");
	return model_type;
}

Oid
ml_state_type(void)
{
	if (!OidIsValid(state_type))
		state_type = find_type("ml_state");
	return state_type;
}

/* ---- names for ml_describe ---- */

const char *
ml_row_column(const MlRows *rows, int column)
{
	return rows->model->encoder->names[column];
}

const char *
ml_row_level(const MlRows *rows, int column, int level)
{
	const MlEncoder *encoder = rows->model->encoder;
	const MlEncoding *encoding = &encoder->columns[encoder->source[column]];
	const MlColumn *source = &encoder->schema->columns[encoder->source[column]];
	int			len;

	for (int l = 0; encoding->code == ML_CODE_LEVEL && l < encoding->nlevels; l++)
		if (encoding->slot[l] == level)
			return ml_dict_get(source->dict, l, &len);
	/* Imported models may know categories by number only. */
	return psprintf("%d", level);
}

const char *
ml_row_class(const MlRows *rows, int k)
{
	return rows->model->labels[k];
}
