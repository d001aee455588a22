/*
 * host.c - what the core does for algorithms, for programs outside of the server.
 *
 * Errors: after ml_test_catch the next one jumps there, without it an error ends
 * the program with status 2.  Memory is malloc'd and freed by ml_test_done.
 *
 *	if (setjmp(*ml_test_catch()) == 0)
 *	{
 *		... code that should fail ...
 *		ml_test_uncatch();
 *	}
 *	else
 *		... ml_test_message, ml_test_sqlstate ...
 */
#include "host.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MESSAGE_SIZE 1024
#define TEXT_IS_NULL 0xFFFFFFFFu

char		ml_test_message[MESSAGE_SIZE];
char		ml_test_warning[MESSAGE_SIZE];
const char *ml_test_sqlstate = "";
int			ml_test_warnings = 0;

static jmp_buf handler;
static bool handler_set = false;

/* ---- TAP ---- */

static int	tests = 0;
static int	failures = 0;

bool
ml_test_ok(bool good, const char *format,...)
{
	va_list		args;

	printf("%sok %d - ", good ? "" : "not ", ++tests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	failures += !good;
	return good;
}

int
ml_test_done(void)
{
	printf("1..%d\n", tests);
	ml_test_free_all();
	return failures != 0;
}

/* ---- memory ---- */

/* In front of each piece; 16 bytes more than its fields need, so that pieces are aligned. */
typedef struct Block
{
	struct Block *next;
	struct Block *prev;
	size_t		bytes;
	size_t		pad;
} Block;

static Block blocks = {&blocks, &blocks, 0, 0};
static size_t in_use = 0;
size_t		ml_test_budget = SIZE_MAX;

void *
ml_alloc(size_t count, size_t size)
{
	Block	   *block;

	if (size != 0 && count > SIZE_MAX / 2 / size)
		ml_test_fail("54000", "memory request is too large");
	if (count * size > ml_memory_left())
		ml_test_fail("53200", "memory budget exceeded by training");
	block = calloc(sizeof(Block) + count * size, 1);
	if (block == NULL)
		ml_test_fail("53200", "out of memory");
	block->bytes = count * size;
	in_use += block->bytes;
	block->next = blocks.next;
	block->prev = &blocks;
	block->next->prev = block->prev->next = block;
	return block + 1;
}

void
ml_free(void *pointer)
{
	Block	   *block = (Block *) pointer - 1;

	block->next->prev = block->prev;
	block->prev->next = block->next;
	in_use -= block->bytes;
	free(block);
}

size_t
ml_memory_left(void)
{
	return in_use < ml_test_budget ? ml_test_budget - in_use : 0;
}

void
ml_test_free_all(void)
{
	while (blocks.next != &blocks)
		ml_free(blocks.next + 1);
}

/* ---- rows of a fit ---- */

struct MlData
{
	uint64_t	rows;
	uint64_t	next;
	int			p;
	const double *x;
	const double *y;
	const double *w;
	const double *offset;
	const double *u;
	const double *group;
	double		own_u[ML_TILE_ROWS];
};

MlData *
ml_test_data(uint64_t rows, int p, const double *x, const double *y, const double *w,
			 const double *offset, const double *u, const double *group)
{
	MlData	   *data = ml_alloc(1, sizeof(MlData));

	data->rows = rows;
	data->p = p;
	data->x = x;
	data->y = y;
	data->w = w;
	data->offset = offset;
	data->u = u;
	data->group = group;
	return data;
}

uint64_t
ml_data_rows(const MlData *data)
{
	return data->rows;
}

void
ml_data_rewind(MlData *data)
{
	data->next = 0;
}

/* A number in [0, 1) from the row's (Steele, Lea and Flood 2014: SplitMix64). */
static double
row_uniform(uint64_t row)
{
	uint64_t	z = (row + 1) * UINT64_C(0x9E3779B97F4A7C15);

	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return (double) ((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

bool
ml_data_next(MlData *data, MlTile *tile)
{
	uint64_t	at = data->next;
	uint64_t	left = data->rows - at;

	if (left == 0)
		return false;
	tile->n = left < ML_TILE_ROWS ? (int) left : ML_TILE_ROWS;
	tile->x = data->x + at * data->p;
	tile->y = data->y ? data->y + at : NULL;
	tile->w = data->w ? data->w + at : NULL;
	tile->offset = data->offset ? data->offset + at : NULL;
	tile->group = data->group ? data->group + at : NULL;
	tile->u = data->u ? data->u + at : data->own_u;
	for (int i = 0; i < tile->n && data->u == NULL; i++)
		data->own_u[i] = row_uniform(at + i);
	data->next += tile->n;
	return true;
}

/* ---- temporary files ---- */

struct MlFile
{
	FILE	   *file;
};

MlFile *
ml_file_create(void)
{
	MlFile	   *file = ml_alloc(1, sizeof(MlFile));

	file->file = tmpfile();
	if (file->file == NULL)
		ml_test_fail("58030", "could not create temporary file");
	return file;
}

void
ml_file_write(MlFile *file, uint64_t at, const void *bytes, size_t size)
{
	if (fseeko(file->file, (off_t) at, SEEK_SET) != 0 || fwrite(bytes, 1, size, file->file) != size)
		ml_test_fail("58030", "could not write temporary file");
}

void
ml_file_read(MlFile *file, uint64_t at, void *bytes, size_t size)
{
	if (fseeko(file->file, (off_t) at, SEEK_SET) != 0 || fread(bytes, 1, size, file->file) != size)
		ml_test_fail("58030", "could not read temporary file");
}

void
ml_file_close(MlFile *file)
{
	fclose(file->file);
	ml_free(file);
}

/* ---- messages ---- */

jmp_buf *
ml_test_catch(void)
{
	handler_set = true;
	return &handler;
}

void
ml_test_uncatch(void)
{
	handler_set = false;
}

static void fail(const char *sqlstate, const char *format, va_list args) ML_PRINTF(2, 0) ML_NORETURN;

static void
fail(const char *sqlstate, const char *format, va_list args)
{
	ml_test_sqlstate = sqlstate;
	vsnprintf(ml_test_message, sizeof(ml_test_message), format, args);
	if (handler_set)
	{
		handler_set = false;
		longjmp(handler, 1);
	}
	fprintf(stderr, "%s: %s\n", sqlstate, ml_test_message);
	exit(2);
}

void
ml_test_fail(const char *sqlstate, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fail(sqlstate, format, args);
}

void
ml_warn(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vsnprintf(ml_test_warning, sizeof(ml_test_warning), format, args);
	va_end(args);
	ml_test_warnings++;
	printf("# WARNING: %s\n", ml_test_warning);
}

void
ml_fail_data(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fail("22000", format, args);
}

void
ml_fail_param(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fail("22023", format, args);
}

void
ml_fail_library(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fail("58P01", format, args);
}

void
ml_corrupt(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fail("XX001", format, args);
}

void
ml_malformed(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fail("22P02", format, args);
}

void
ml_unsupported(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	fail("0A000", format, args);
}

void
ml_check_interrupts(void)
{
}

void
ml_copy(void *to, const void *from, size_t bytes)
{
	if (bytes > 0)
		memcpy(to, from, bytes);
}

void
ml_report_iteration(int iteration, double objective)
{
	ml_check_interrupts();
}

void
ml_report_learning(int iterations, double objective, double held_out)
{
}

/* ---- bytes ---- */

static void
put(MlWriter *writer, const void *bytes, size_t n)
{
	if (writer->size + n > writer->room)
	{
		writer->room = 2 * (writer->size + n);
		writer->data = realloc(writer->data, writer->room);
		if (writer->data == NULL)
			ml_test_fail("53200", "out of memory");
	}
	if (n > 0)
		memcpy(writer->data + writer->size, bytes, n);
	writer->size += n;
}

static void
put_number(MlWriter *writer, uint64_t value, int n)
{
	unsigned char bytes[8];

	for (int i = 0; i < n; i++)
		bytes[i] = (unsigned char) (value >> (8 * (n - 1 - i)));
	put(writer, bytes, n);
}

void
ml_write_u8(MlWriter *writer, uint8_t value)
{
	put_number(writer, value, 1);
}

void
ml_write_u32(MlWriter *writer, uint32_t value)
{
	put_number(writer, value, 4);
}

void
ml_write_u64(MlWriter *writer, uint64_t value)
{
	put_number(writer, value, 8);
}

void
ml_write_f64(MlWriter *writer, double value)
{
	uint64_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	ml_write_u64(writer, bits);
}

void
ml_write_f64s(MlWriter *writer, const double *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ml_write_f64(writer, values[i]);
}

void
ml_write_u32s(MlWriter *writer, const uint32_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		ml_write_u32(writer, values[i]);
}

void
ml_write_bytes(MlWriter *writer, const void *bytes, size_t size)
{
	put(writer, bytes, size);
}

void
ml_write_text(MlWriter *writer, const char *value)
{
	size_t		len = value ? strlen(value) : 0;

	ml_write_u32(writer, value ? (uint32_t) len : TEXT_IS_NULL);
	put(writer, value, len);
}

size_t
ml_read_left(const MlReader *reader)
{
	return reader->size - reader->at;
}

static const unsigned char *
take(MlReader *reader, size_t n)
{
	const unsigned char *here = (const unsigned char *) reader->data + reader->at;

	if (n > ml_read_left(reader))
		ml_corrupt("%zu bytes were expected at byte %zu, but only %zu are left.",
				   n, reader->at, ml_read_left(reader));
	reader->at += n;
	return here;
}

static uint64_t
take_number(MlReader *reader, int n)
{
	const unsigned char *bytes = take(reader, n);
	uint64_t	value = 0;

	for (int i = 0; i < n; i++)
		value = value << 8 | bytes[i];
	return value;
}

uint8_t
ml_read_u8(MlReader *reader)
{
	return (uint8_t) take_number(reader, 1);
}

uint32_t
ml_read_u32(MlReader *reader, uint32_t max)
{
	uint32_t	value = (uint32_t) take_number(reader, 4);

	if (value > max)
		ml_corrupt("The number %u before byte %zu is greater than %u.", value, reader->at, max);
	return value;
}

uint64_t
ml_read_u64(MlReader *reader)
{
	return take_number(reader, 8);
}

double
ml_read_f64(MlReader *reader)
{
	uint64_t	bits = ml_read_u64(reader);
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

double
ml_read_finite(MlReader *reader)
{
	double		value = ml_read_f64(reader);

	if (!isfinite(value))
		ml_corrupt("The number before byte %zu is not finite.", reader->at);
	return value;
}

void
ml_read_finites(MlReader *reader, double *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		values[i] = ml_read_finite(reader);
}

double *
ml_read_f64s(MlReader *reader, size_t count)
{
	double	   *values;

	if (count > ml_read_left(reader) / sizeof(double))
		ml_corrupt("%zu numbers were expected at byte %zu, but only %zu bytes are left.",
				   count, reader->at, ml_read_left(reader));
	values = ml_alloc(count, sizeof(double));
	ml_read_finites(reader, values, count);
	return values;
}

void
ml_read_u32s(MlReader *reader, uint32_t *values, size_t count)
{
	if (count > ml_read_left(reader) / sizeof(uint32_t))
		ml_corrupt("%zu numbers were expected at byte %zu, but only %zu bytes are left.",
				   count, reader->at, ml_read_left(reader));
	for (size_t i = 0; i < count; i++)
		values[i] = (uint32_t) take_number(reader, 4);
}

void
ml_write_rest(MlWriter *writer)
{
	writer->rest = writer->size;
}

bool
ml_read_rest(MlReader *reader)
{
	return !reader->brief;
}

void *
ml_read_room(const MlReader *reader, size_t count, size_t size)
{
	if (size != 0 && count > ml_read_left(reader) * 64 / size)
		ml_corrupt("%zu items of %zu bytes cannot come from the %zu bytes left at byte %zu.",
				   count, size, ml_read_left(reader), reader->at);
	return ml_alloc(count, size);
}

char *
ml_read_text(MlReader *reader)
{
	size_t		start = reader->at;
	uint32_t	len = ml_read_u32(reader, UINT32_MAX);
	const unsigned char *bytes;
	char	   *text;

	if (len == TEXT_IS_NULL)
		return NULL;
	bytes = take(reader, len);
	if (memchr(bytes, 0, len) != NULL)
		ml_corrupt("The text at byte %zu contains a zero byte.", start);
	text = ml_alloc((size_t) len + 1, 1);
	memcpy(text, bytes, len);
	return text;
}

/* ---- lines of ml_describe ---- */

void
ml_row_text(MlRows *rows, const char *item, const char *value)
{
	fprintf(rows->out, "%s = %s\n", item, value);
}

void
ml_row_number(MlRows *rows, const char *item, double value)
{
	fprintf(rows->out, "%s = %.15g\n", item, value);
}

static char name[32];

const char *
ml_row_column(const MlRows *rows, int column)
{
	snprintf(name, sizeof(name), "x%d", column + 1);
	return name;
}

const char *
ml_row_level(const MlRows *rows, int column, int level)
{
	snprintf(name, sizeof(name), "level %d", level);
	return name;
}

const char *
ml_row_class(const MlRows *rows, int k)
{
	snprintf(name, sizeof(name), "class %d", k);
	return name;
}
