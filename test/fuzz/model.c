/*
 * model.c - libFuzzer target: the bytes of a model, and all that is done with what was read.
 *
 * The input is a byte, the format, then a model without magic, digest and CRC, which the target writes, so
 * that everything behind them is reached.  What is accepted must be usable: rows
 * are encoded and predicted, explained and described, and what is packed again must be readable and
 * give the same bytes.
 */
#include "server.h"

#include <math.h>

#include "common/sha2.h"
#include "common/cryptohash.h"
#include "core/host.h"
#include "core/model.h"
#include "port/pg_bswap.h"
#include "port/pg_crc32c.h"

#define HEADER 24
#define FORMATS 4
#define ROWS 5
#define MAX_OUTPUTS 4

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
use_row(const MlModel *model, const double *cells, double *x, double *out)
{
	const MlAlgorithm *algorithm = model->algorithm;
	int			outputs = model->classes > 2 ? Min(model->classes, MAX_OUTPUTS) : 1;
	double	   *contrib = palloc0(Max(model->encoder->p, 1) * sizeof(double));
	double		base,
				low,
				high;

	if (!ml_encode(model->encoder, cells, model->encoder->schema->ncells, 1, x))
	{
		sigjmp_buf *outer = PG_exception_stack;
		sigjmp_buf	here;

		/* Says what is wrong with the row, and returns in no case. */
		PG_exception_stack = &here;
		if (sigsetjmp(here, 0) == 0)
		{
			ml_encode_error(model->encoder, cells);
			abort();
		}
		PG_exception_stack = outer;
		return;
	}
	for (int i = 0; i < model->encoder->p; i++)
		if (isinf(x[i]) || (isnan(x[i]) && model->encoder->columns[model->encoder->source[i]].impute != ML_IMPUTE_NATIVE))
			abort();
	algorithm->predict(model->fit, x, out);
	for (int i = 0; algorithm->explain && !model->brief && i < outputs; i++)
		algorithm->explain(model->fit, x, i, &base, contrib);
	if (algorithm->interval)
		algorithm->interval(model->fit, x, 0.9, &low, &high);
}

/* Rows of ordinary, missing, infinite and unknown values. */
static void
use_rows(const MlModel *model)
{
	static const double values[] = {0, 1, 0.5, -1, NAN, 2, INFINITY, 7e8, 1e300, -1e-300, -INFINITY, 3, 1e15};
	int			ncells = model->encoder->schema->ncells;
	double	   *cells = palloc_extended(Max(ncells, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	double	   *x = palloc_extended(Max(model->encoder->p, 1) * sizeof(double), MCXT_ALLOC_HUGE);
	double	   *out = palloc_extended(Max(model->classes, 1) * sizeof(double), MCXT_ALLOC_HUGE);

	for (int row = 0; row < ROWS; row++)
	{
		/* the first rows can be encoded, unless the model forbids it */
		for (int i = 0; i < ncells; i++)
			cells[i] = row < 3 ? row : values[(i * 5 + row) % lengthof(values)];
		use_row(model, cells, x, out);
	}
}

static void
look(const MlModel *model)
{
	const MlAlgorithm *algorithm = model->algorithm;
	MlRows		rows = {NIL, NIL, model};

	if (algorithm->describe)
		algorithm->describe(model->fit, &rows);
	if (algorithm->importance)
		algorithm->importance(model->fit, palloc0(Max(model->encoder->p, 1) * sizeof(double)));
	if (algorithm->coefficients)
	{
		int			n = algorithm->coefficients(model->fit, NULL);
		MlCoefficient *lines = palloc0(Max(n, 1) * sizeof(MlCoefficient));

		n = algorithm->coefficients(model->fit, lines);
		for (int i = 0; i < n; i++)
		{
			if (lines[i].column < -1 || lines[i].column >= model->encoder->p ||
				lines[i].output < 0 || lines[i].output >= Max(model->classes, 1))
				abort();
		}
	}
	for (int i = 0; model->summaries && i < model->nsummaries; i++)
	{
		const MlSummary *s = &model->summaries[i];

		for (int k = 0; k <= 4 && s->n > 0; k++)
			ml_summary_quantile(s, k / 4.0);
		ml_summary_variance(s, false);
		ml_summary_distinct(s);
	}
}

static struct varlena *
make_value(const uint8_t *input, size_t size)
{
	uint32		format = 1 + (size > 0 ? input[0] - 1 : 0) % FORMATS;
	size_t		crc = format >= 3 ? sizeof(pg_crc32c) : 0;	/* of format 3 and 4, behind the header */
	size_t		body = size > 0 ? size - 1 : 0;
	struct varlena *value = palloc0(VARHDRSZ + HEADER + crc + body);
	char	   *bytes = VARDATA(value);
	uint32		words[2] = {pg_hton32(0x4D4C4D31), pg_hton32(format)};
	uint8		sha[PG_SHA256_DIGEST_LENGTH];
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);

	SET_VARSIZE(value, VARHDRSZ + HEADER + crc + body);
	memcpy(bytes, words, sizeof(words));
	memcpy(bytes + HEADER + crc, input + 1, body);
	if (crc > 0 && body >= sizeof(uint32))
	{
		size_t		covered = HEADER + crc;
		pg_crc32c	sum;
		uint32		head;

		memcpy(&head, bytes + covered, sizeof(head));
		head = pg_ntoh32(head) & 0x7fffffff;
		INIT_CRC32C(sum);
		COMP_CRC32C(sum, bytes + covered, head > covered && head <= covered + body ? head - covered : body);
		FIN_CRC32C(sum);
		sum = pg_hton32(sum);
		memcpy(bytes + HEADER, &sum, sizeof(sum));
	}
	pg_cryptohash_init(ctx);
	pg_cryptohash_update(ctx, (uint8 *) bytes + HEADER, crc + body);
	pg_cryptohash_final(ctx, sha, sizeof(sha));
	pg_cryptohash_free(ctx);
	memcpy(bytes + sizeof(words), sha, ML_MODEL_ID_SIZE);
	return value;
}

/* What is packed must be read, whole or without its tail, and packed as the same. */
static void
pack_again(const MlModel *model)
{
	struct varlena *first = ml_model_pack(model);
	struct varlena *second = ml_model_pack(ml_model_unpack_whole(first));
	uint32		head;

	ml_model_unpack(first);
	memcpy(&head, VARDATA(first) + HEADER + sizeof(uint32), sizeof(head));
	head = pg_ntoh32(head) & 0x7fffffff;
	if (head > VARSIZE(second) - VARHDRSZ)
		abort();
	memcpy(second, first, VARHDRSZ + head);
	SET_VARSIZE(second, VARHDRSZ + head);
	use_rows(ml_model_unpack_head(second));
	second = ml_model_pack(ml_model_unpack_whole(first));
	if (VARSIZE(first) != VARSIZE(second) || memcmp(first, second, VARSIZE(first)) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sigjmp_buf	error;
	volatile bool accepted = false;

	PG_exception_stack = &error;
	if (sigsetjmp(error, 0) == 0)
	{
		MlModel    *model = ml_model_unpack_whole(make_value(data, size));

		accepted = true;
		use_rows(model);
		look(model);
		pack_again(model);
	}
	else if (accepted)
	{
		fprintf(stderr, "an accepted model cannot be used: %s\n", fuzz_message);
		abort();
	}
	else if (fuzz_sqlstate != ERRCODE_DATA_CORRUPTED && fuzz_sqlstate != ERRCODE_FEATURE_NOT_SUPPORTED)
	{
		fprintf(stderr, "wrong SQLSTATE: %s\n", fuzz_message);
		abort();
	}
	fuzz_reset();
	return 0;
}
