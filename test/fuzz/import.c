/*
 * import.c - libFuzzer target: models of other libraries, and all that is done with what was read.
 *
 * The input is what ml_import gets.  What is accepted must be usable: rows are predicted and explained, and
 * what is exported must be read again.  (Descriptions need the columns of a whole model: model.c.)
 */
#include "server.h"

#include <math.h>

#include "core/host.h"
#include "core/model.h"

#define ROWS 3
#define MAX_OUTPUTS 3
#define MAX_COLUMNS 10000		/* more are right, but make a run slow */

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const MlFormat *
find_format(const char *bytes, size_t size)
{
	for (const MlFormat *const *f = ml_algo_gradient_boosting.formats; *f; f++)
		if ((*f)->recognize(bytes, size))
			return *f;
	return NULL;
}

static void
use(const MlForeign *foreign)
{
	static const double values[] = {0, 1, 0.5, -1, NAN, 2, 7e8, 1e300, -1e-300, 3, 1e15};
	const MlAlgorithm *algorithm = &ml_algo_gradient_boosting;
	double	   *x = palloc_extended((foreign->p + 1) * sizeof(double), MCXT_ALLOC_HUGE);
	double	   *contrib = palloc_extended((foreign->p + 1) * sizeof(double), MCXT_ALLOC_HUGE);
	double	   *out = palloc((foreign->classes + 1) * sizeof(double));
	double		base;

	if (foreign->names == NULL || foreign->levels == NULL || foreign->note == NULL)
		abort();
	for (int row = 0; row < ROWS; row++)
	{
		for (int i = 0; i < foreign->p; i++)
			x[i] = values[(i * 5 + row) % lengthof(values)];
		algorithm->predict(foreign->model, x, out);
		for (int k = 0; k < (foreign->classes > 2 ? Min(foreign->classes, MAX_OUTPUTS) : 1); k++)
			algorithm->explain(foreign->model, x, k, &base, contrib);
	}
	algorithm->importance(foreign->model, contrib);
}

/* What is written, read again. */
static void
read_again(const MlForeign *foreign, const MlFormat *format)
{
	MlForeign	again = {0};
	MlWriter	writer;

	ml_writer_init(&writer);
	format->write(foreign, &writer);
	format->read(writer.buf.data, writer.buf.len, &again);
	if (again.p != foreign->p || again.classes != foreign->classes)
		abort();
	use(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sigjmp_buf	error;
	volatile int done = 0;
	const MlFormat *format = find_format((const char *) data, size);

	if (format == NULL)
		return 0;
	PG_exception_stack = &error;
	if (sigsetjmp(error, 0) == 0)
	{
		MlForeign	foreign = {0};

		format->read((const char *) data, size, &foreign);
		done = 1;
		if (foreign.p <= MAX_COLUMNS)
		{
			use(&foreign);
			done = 2;
			read_again(&foreign, ml_algo_gradient_boosting.formats[0]);
		}
	}
	else if (done == 1 || (fuzz_sqlstate != ERRCODE_INVALID_TEXT_REPRESENTATION && fuzz_sqlstate != ERRCODE_FEATURE_NOT_SUPPORTED &&
						   fuzz_sqlstate != ERRCODE_OUT_OF_MEMORY && fuzz_sqlstate != ERRCODE_PROGRAM_LIMIT_EXCEEDED) ||
			 (done == 2 && fuzz_sqlstate == ERRCODE_INVALID_TEXT_REPRESENTATION))
	{
		fprintf(stderr, "step %d: %s\n", done, fuzz_message);
		abort();
	}
	fuzz_reset();
	return 0;
}
