/*
 * rank.c - scores collected, sorted and read back in order.
 *
 * Exactness needs every score, so a score is kept in the least room: 8 bytes,
 * the bits of the double made into an integer that sorts falling.  The label
 * costs nothing (one buffer each), and weights another 8 bytes only once one
 * differs from 1.  A full buffer is sorted by radix (Knuth, TAOCP 3, 5.2.5;
 * 6 passes of 11 bits, those in which all digits agree are skipped) and goes to
 * a temporary file as a run; reading merges the runs.  So memory is bounded by
 * the budget, and any number of rows can be ranked exactly.
 *
 * Why this is no flat value: PostgreSQL copies a flat aggregate state that has
 * grown (once more after our own copy), holds both copies meanwhile, limits it
 * to 1 GB and cannot spill it: three times the memory, and an error instead of
 * a slower answer.
 *
 * Memory: the struct and its buffers live in the context of creation.  The file
 * belongs to the resource owner of its creation, which closes it on error;
 * otherwise ml_rank_close does.
 */
#include "eval/rank.h"

#include <math.h>

#include "miscadmin.h"
#include "libpq/pqformat.h"
#include "utils/memutils.h"

#include "eval/sums.h"

#define RADIX_BITS 11
#define RADIX_SIZE (1 << RADIX_BITS)
#define RADIX_PASSES 6			/* 66 bits */
#define RADIX_MIN 4096			/* below, clearing the counters costs more than comparing */
#define BLOCK 65536				/* entries between looks at interrupts: about 1 ms */
#define FIRST_CAPACITY 16		/* entries: aggregates with many groups stay small */
#define READ_BYTES 8192			/* of each run while merging: one block of the file */
#define MIN_BUDGET 65536

typedef struct Buffer
{
	uint64	   *v;				/* n entries of stride words: key [, bits of the weight] */
	int64		n;
	int64		capacity;
	bool		sorted;
} Buffer;

typedef struct Run
{
	int			fileno;
	off_t		offset;
	int64		n;
	int			stride;
	int			label;
} Run;

struct MlRank
{
	MemoryContext cxt;
	Size		budget;
	bool		spill;
	int			stride;			/* 1, or 2 with weights */
	Buffer		buffer[2];
	int64		rows[2];
	MlSum		weight[2];
	BufFile    *file;
	int			end_fileno;
	off_t		end_offset;
	int			nruns;
	int			max_runs;
	Run		   *runs;
};

/* A sorted sequence being read: a run of the file, or a buffer. */
typedef struct Reader
{
	const uint64 *v;
	uint64	   *block;			/* what v points to, for runs */
	int			stride;
	int64		at;
	int64		n;
	int64		left;			/* entries of the run not yet read */
	int			fileno;
	off_t		offset;
} Reader;

struct MlRankStream
{
	MemoryContext cxt;			/* of everything here */
	BufFile    *file;
	Reader	   *readers;
	Reader	  **heap[2];		/* smallest key first */
	int			nheap[2];
	int64		since_check;
};

/* A key that is smaller for a larger score; -0 and 0 are one score. */
static inline uint64
key_of(double score)
{
	uint64		bits;

	score += 0.0;
	memcpy(&bits, &score, sizeof(bits));
	return (bits >> 63) ? bits : ~(bits | UINT64CONST(0x8000000000000000));
}

static inline double
score_of(uint64 key)
{
	uint64		bits = (key >> 63) ? key : ~key & UINT64CONST(0x7FFFFFFFFFFFFFFF);
	double		score;

	memcpy(&score, &bits, sizeof(score));
	return score;
}

static inline double
weight_at(const uint64 *entry, int stride)
{
	double		w = 1.0;

	if (stride == 2)
		memcpy(&w, entry + 1, sizeof(w));
	return w;
}

MlRank *
ml_rank_create(Size budget, bool spill)
{
	MlRank	   *rank = palloc0(sizeof(MlRank));

	rank->cxt = CurrentMemoryContext;
	rank->spill = spill;
	rank->stride = 1;
	ml_rank_set_budget(rank, budget);
	return rank;
}

void
ml_rank_set_budget(MlRank *rank, Size budget)
{
	rank->budget = Max(budget, MIN_BUDGET);
}

/* ---- sorting ---- */

static int
compare_keys(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return (x > y) - (x < y);
}

/* Moves n entries from `from` to `to` in order of one digit; `at` says where each digit's entries go. */
static inline void
radix_pass(const uint64 *from, uint64 *to, int64 n, const int stride, int shift, int64 *at)
{
	for (int64 start = 0; start < n; start += BLOCK)
	{
		int64		end = Min(n, start + BLOCK);

		CHECK_FOR_INTERRUPTS();
		for (int64 i = start; i < end; i++)
		{
			uint64		key = from[i * stride];
			int64		j = at[(key >> shift) & (RADIX_SIZE - 1)]++;

			to[j * stride] = key;
			if (stride == 2)
				to[j * stride + 1] = from[i * stride + 1];
		}
	}
}

static void
radix_sort(uint64 *v, int64 n, int stride)
{
	int64	   *counts = palloc0(sizeof(int64) * RADIX_PASSES * RADIX_SIZE);
	uint64	   *other = palloc_extended(sizeof(uint64) * n * stride, MCXT_ALLOC_HUGE);
	uint64	   *from = v;
	uint64	   *to = other;

	for (int64 i = 0; i < n; i++)
	{
		uint64		key = v[i * stride];

		for (int pass = 0; pass < RADIX_PASSES; pass++)
			counts[pass * RADIX_SIZE + ((key >> (pass * RADIX_BITS)) & (RADIX_SIZE - 1))]++;
		if (i % BLOCK == 0)
			CHECK_FOR_INTERRUPTS();
	}
	for (int pass = 0; pass < RADIX_PASSES; pass++)
	{
		int64	   *at = counts + pass * RADIX_SIZE;
		int			shift = pass * RADIX_BITS;
		int64		sum = 0;
		uint64	   *swap;

		if (at[(from[0] >> shift) & (RADIX_SIZE - 1)] == n)
			continue;
		for (int d = 0; d < RADIX_SIZE; d++)
		{
			int64		count = at[d];

			at[d] = sum;
			sum += count;
		}
		if (stride == 1)
			radix_pass(from, to, n, 1, shift, at);
		else
			radix_pass(from, to, n, 2, shift, at);
		swap = from;
		from = to;
		to = swap;
	}
	if (from != v)
		memcpy(v, from, sizeof(uint64) * n * stride);
	pfree(other);
	pfree(counts);
}

/*
 * Sorts in place, also from final functions that must not change the state:
 * the set of scores stays the same, and the next metric finds it sorted.
 */
static void
sort_buffer(Buffer *buffer, int stride)
{
	if (!buffer->sorted && buffer->n > 1)
	{
		if (buffer->n < RADIX_MIN)
			qsort(buffer->v, buffer->n, sizeof(uint64) * stride, compare_keys);
		else
			radix_sort(buffer->v, buffer->n, stride);
	}
	buffer->sorted = true;
}

/* ---- collecting ---- */

static void
write_run(MlRank *rank, int label)
{
	Buffer	   *buffer = &rank->buffer[label];
	Run		   *run;

	if (buffer->n == 0)
		return;
	sort_buffer(buffer, rank->stride);
	if (rank->nruns == rank->max_runs)
	{
		rank->max_runs = Max(8, rank->max_runs * 2);
		rank->runs = rank->runs == NULL ?
			MemoryContextAlloc(rank->cxt, sizeof(Run) * rank->max_runs) :
			repalloc(rank->runs, sizeof(Run) * rank->max_runs);
	}
	run = &rank->runs[rank->nruns++];
	run->fileno = rank->end_fileno;
	run->offset = rank->end_offset;
	run->n = buffer->n;
	run->stride = rank->stride;
	run->label = label;
	if (BufFileSeek(rank->file, rank->end_fileno, rank->end_offset, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not seek in temporary file of scores")));
	for (int64 i = 0; i < buffer->n; i += BLOCK)
	{
		CHECK_FOR_INTERRUPTS();
		BufFileWrite(rank->file, buffer->v + i * rank->stride,
					 sizeof(uint64) * rank->stride * Min(BLOCK, buffer->n - i));
	}
	BufFileTell(rank->file, &rank->end_fileno, &rank->end_offset);
	pfree(buffer->v);
	memset(buffer, 0, sizeof(Buffer));
}

/* Empties both buffers: grown anew, they take the shares that the labels have now. */
static void
flush_buffers(MlRank *rank)
{
	if (rank->file == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(rank->cxt);

		rank->file = BufFileCreateTemp(false);
		MemoryContextSwitchTo(old);
	}
	write_run(rank, 0);
	write_run(rank, 1);
}

static void
enlarge(MlRank *rank, int label)
{
	Buffer	   *buffer = &rank->buffer[label];
	int64		capacity = Max(FIRST_CAPACITY, buffer->capacity * 2);
	int64		other = rank->buffer[!label].capacity;
	Size		need = sizeof(uint64) * rank->stride * (capacity + other + Max(capacity, other));

	if (need > rank->budget)	/* both buffers, and as much again to sort one */
	{
		if (!rank->spill)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("scores of a window frame do not fit in memory"),
					 errdetail("%lld rows need %zu kB, %zu kB are allowed.",
							   (long long) (rank->rows[0] + rank->rows[1] + 1), need / 1024, rank->budget / 1024),
					 errhint("Increase work_mem, or use the aggregate with GROUP BY.")));
		flush_buffers(rank);
		capacity = FIRST_CAPACITY;
	}
	buffer->v = buffer->v == NULL ?
		MemoryContextAllocHuge(rank->cxt, sizeof(uint64) * rank->stride * capacity) :
		repalloc_huge(buffer->v, sizeof(uint64) * rank->stride * capacity);
	buffer->capacity = capacity;
}

/* Gives every score in the buffers a weight of its own; runs in the file stay as they are. */
static void
start_weights(MlRank *rank)
{
	double		one = 1.0;

	rank->stride = 2;
	for (int label = 0; label < 2; label++)
	{
		Buffer	   *buffer = &rank->buffer[label];

		if (buffer->v == NULL)
			continue;
		buffer->v = repalloc_huge(buffer->v, sizeof(uint64) * 2 * buffer->capacity);
		for (int64 i = buffer->n - 1; i >= 0; i--)
		{
			buffer->v[2 * i] = buffer->v[i];
			memcpy(&buffer->v[2 * i + 1], &one, sizeof(one));
		}
	}
}

static inline void
add_key(MlRank *rank, uint64 key, bool label, double weight)
{
	Buffer	   *buffer = &rank->buffer[label];

	if (unlikely(weight != 1.0 && rank->stride == 1))
		start_weights(rank);
	if (unlikely(buffer->n == buffer->capacity))
		enlarge(rank, label);
	buffer->v[buffer->n * rank->stride] = key;
	if (rank->stride == 2)
		memcpy(&buffer->v[buffer->n * 2 + 1], &weight, sizeof(weight));
	buffer->n++;
	buffer->sorted = false;
	rank->rows[label]++;
	ml_sum_add(&rank->weight[label], weight);
}

/* Adds a finite score; a weight of zero adds nothing. */
void
ml_rank_add(MlRank *rank, double score, bool label, double weight)
{
	if (weight != 0.0)
		add_key(rank, key_of(score), label, weight);
}

void
ml_rank_close(MlRank *rank)
{
	if (rank->file != NULL)
		BufFileClose(rank->file);
	rank->file = NULL;
}

bool
ml_rank_spilled(const MlRank *rank)
{
	return rank->file != NULL;
}

int64
ml_rank_rows(const MlRank *rank)
{
	return rank->rows[0] + rank->rows[1];
}

double
ml_rank_positives(const MlRank *rank)
{
	return ml_sum_value(&rank->weight[1]);
}

double
ml_rank_negatives(const MlRank *rank)
{
	return ml_sum_value(&rank->weight[0]);
}

bool
ml_rank_weighted(const MlRank *rank)
{
	return rank->stride == 2;
}

int64
ml_rank_count(const MlRank *rank, bool label)
{
	return rank->rows[label];
}

/* ---- reading ---- */

static void
fill_reader(Reader *reader, BufFile *file)
{
	Size		entry = sizeof(uint64) * reader->stride;

	reader->n = Min(reader->left, READ_BYTES / entry);
	reader->at = 0;
	if (reader->n == 0)
		return;
	if (BufFileSeek(file, reader->fileno, reader->offset, SEEK_SET) != 0 ||
		BufFileRead(file, reader->block, reader->n * entry) != reader->n * entry)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read temporary file of scores")));
	BufFileTell(file, &reader->fileno, &reader->offset);
	reader->left -= reader->n;
}

static inline uint64
head_key(const Reader *reader)
{
	return reader->v[reader->at * reader->stride];
}

static void
sift_down(Reader **heap, int n, int i)
{
	for (;;)
	{
		int			least = i;
		Reader	   *swap;

		for (int child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
			if (head_key(heap[child]) < head_key(heap[least]))
				least = child;
		if (least == i)
			return;
		swap = heap[i];
		heap[i] = heap[least];
		heap[least] = swap;
		i = least;
	}
}

MlRankStream *
ml_rank_read(MlRank *rank)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_rank reading", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MlRankStream *stream = palloc0(sizeof(MlRankStream));
	Reader	   *reader;

	stream->cxt = cxt;
	stream->file = rank->file;
	stream->readers = palloc0(sizeof(Reader) * (rank->nruns + 2));
	reader = stream->readers;
	for (int label = 0; label < 2; label++)
	{
		Buffer	   *buffer = &rank->buffer[label];
		Reader	  **heap = palloc(sizeof(Reader *) * (rank->nruns + 1));
		int			n = 0;

		for (int i = 0; i < rank->nruns; i++)
		{
			Run		   *run = &rank->runs[i];

			if (run->label != label)
				continue;
			reader->v = reader->block = palloc(READ_BYTES);
			reader->stride = run->stride;
			reader->left = run->n;
			reader->fileno = run->fileno;
			reader->offset = run->offset;
			fill_reader(reader, rank->file);
			heap[n++] = reader++;
		}
		if (buffer->n > 0)
		{
			sort_buffer(buffer, rank->stride);
			reader->v = buffer->v;
			reader->stride = rank->stride;
			reader->n = buffer->n;
			heap[n++] = reader++;
		}
		stream->heap[label] = heap;
		stream->nheap[label] = n;
		for (int i = n / 2 - 1; i >= 0; i--)
			sift_down(heap, n, i);
	}
	MemoryContextSwitchTo(old);
	return stream;
}

/* Steps over the entry at the head of a label's heap. */
static inline void
advance(MlRankStream *stream, int label)
{
	Reader	  **heap = stream->heap[label];
	Reader	   *reader = heap[0];

	if (unlikely(++reader->at == reader->n))
	{
		CHECK_FOR_INTERRUPTS();
		fill_reader(reader, stream->file);
		if (reader->n == 0)
			heap[0] = heap[--stream->nheap[label]];
	}
	if (stream->nheap[label] > 1)
		sift_down(heap, stream->nheap[label], 0);
}

bool
ml_rank_next(MlRankStream *stream, MlRankStep *step)
{
	uint64		key = PG_UINT64_MAX;

	if (stream->nheap[0] == 0 && stream->nheap[1] == 0)
		return false;
	for (int label = 0; label < 2; label++)
		if (stream->nheap[label] > 0)
			key = Min(key, head_key(stream->heap[label][0]));
	memset(step, 0, sizeof(MlRankStep));
	step->score = score_of(key);
	for (int label = 0; label < 2; label++)
	{
		MlSum		sum = {0, 0};

		while (stream->nheap[label] > 0 && head_key(stream->heap[label][0]) == key)
		{
			Reader	   *reader = stream->heap[label][0];
			double		w = weight_at(reader->v + reader->at * reader->stride, reader->stride);

			ml_sum_add(&sum, w);
			step->w2[label] += w * w;
			if (unlikely(++stream->since_check % BLOCK == 0))
				CHECK_FOR_INTERRUPTS();
			advance(stream, label);
		}
		step->w[label] = ml_sum_value(&sum);
	}
	return true;
}

void
ml_rank_end(MlRankStream *stream)
{
	MemoryContextDelete(stream->cxt);
}

/* ---- merging ---- */

void
ml_rank_merge(MlRank *rank, MlRank *other)
{
	MlRankStream *stream = ml_rank_read(other);

	for (int label = 0; label < 2; label++)
		while (stream->nheap[label] > 0)
		{
			Reader	   *reader = stream->heap[label][0];

			add_key(rank, head_key(reader), label,
					weight_at(reader->v + reader->at * reader->stride, reader->stride));
			if (++stream->since_check % BLOCK == 0)
				CHECK_FOR_INTERRUPTS();
			advance(stream, label);
		}
	ml_rank_end(stream);
}

void
ml_rank_pack(MlRank *rank, StringInfo buf)
{
	MlRankStream *stream = ml_rank_read(rank);

	pq_sendbyte(buf, rank->stride);
	for (int label = 0; label < 2; label++)
	{
		pq_sendint64(buf, rank->rows[label]);
		while (stream->nheap[label] > 0)
		{
			Reader	   *reader = stream->heap[label][0];
			const uint64 *entry = reader->v + reader->at * reader->stride;

			appendBinaryStringInfo(buf, (const char *) entry, sizeof(uint64));
			if (rank->stride == 2)
			{
				double		w = weight_at(entry, reader->stride);

				appendBinaryStringInfo(buf, (const char *) &w, sizeof(w));
			}
			advance(stream, label);
		}
	}
	ml_rank_end(stream);
}

void
ml_rank_unpack(MlRank *rank, StringInfo buf)
{
	int			stride = pq_getmsgbyte(buf);

	for (int label = 0; label < 2; label++)
	{
		int64		n = pq_getmsgint64(buf);

		for (int64 i = 0; i < n; i++)
		{
			uint64		key;
			double		w = 1.0;

			pq_copymsgbytes(buf, (char *) &key, sizeof(key));
			if (stride == 2)
				pq_copymsgbytes(buf, (char *) &w, sizeof(w));
			add_key(rank, key, label, w);
			if (i % BLOCK == 0)
				CHECK_FOR_INTERRUPTS();
		}
	}
}
