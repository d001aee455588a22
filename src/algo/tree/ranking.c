/*
 * ranking.c - LambdaMART: gradients of the order within groups (Burges 2010,
 * "From RankNet to LambdaRank to LambdaMART").
 *
 * Over the pairs (i, j) of a group with grades y_i > y_j, at scores s:
 *
 *	 loss_ij = |dNDCG_ij| log(1 + exp(s_j - s_i))
 *
 * where dNDCG_ij is how much NDCG@k changes when the two swap their places in the
 * order by score, held fixed while the gradient is taken.  A pair beyond place k changes nothing,
 * so the pairs of a group of n rows are about k n.
 *
 * The rows of a group lie anywhere, so this keeps score, grade, gradient and place of every row in
 * memory, 36 bytes a row.  Within a group rows are sorted by score,
 * ties by key, so that sums are added in an order that does not depend on that of the rows.
 */
#include "objectives.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "num/exact.h"
#include "num/threads.h"

#define MAX_GRADE 31			/* gains are 2^grade - 1 */
#define GROUPS_AT_ONCE 64
#define LARGE_PAIRS 32768		/* a group of more is not for threads: 64 of them would keep a cancel waiting */

typedef struct Member
{
	double		score;
	float		grade;
	uint32_t	key;
	float		g;
	float		h;
} Member;

struct MlRanking
{
	MlMatrix   *matrix;
	int			k;				/* places that count */
	uint32_t	ngroups;
	uint32_t   *start;			/* ngroups + 1: members of each group */
	bool	   *held;			/* ngroups: held out, or NULL */
	Member	   *member;
	uint32_t   *row_member;		/* of each row, block by block */
	uint32_t   *row_group;
	int			largest;		/* members of a group */
	uint32_t  **order;			/* of each thread: places of a group's members */
	double	   *discount;		/* of each place: 1 / log2(place + 2), 0 beyond k */
	double	   *ndcg;			/* ngroups: of the last scores; NaN without a better and a worse */
};

/* ---- groups ---- */

/* Numbers of groups to 0, 1, ... by a table that doubles. */
typedef struct Table
{
	uint32_t	n;
	uint32_t	size;			/* power of two */
	double	   *number;
	uint32_t   *index;			/* plus 1; 0: free */
} Table;

static uint32_t
table_slot(const Table *t, double number)
{
	uint64_t	bits;
	uint32_t	slot;

	number += 0.0;
	memcpy(&bits, &number, sizeof(bits));
	slot = (uint32_t) ml_mix64(bits, 0) & (t->size - 1);
	while (t->index[slot] != 0 && t->number[slot] != number)
		slot = (slot + 1) & (t->size - 1);
	return slot;
}

static void
table_resize(Table *t, uint32_t size)
{
	Table		larger = {
		.n = t->n, .size = size,
		.number = ml_alloc(size, sizeof(double)), .index = ml_alloc(size, sizeof(uint32_t))
	};

	for (uint32_t i = 0; i < t->size; i++)
		if (t->index[i] != 0)
		{
			uint32_t	slot = table_slot(&larger, t->number[i]);

			larger.number[slot] = t->number[i];
			larger.index[slot] = t->index[i];
		}
	if (t->size > 0)
	{
		ml_free(t->number);
		ml_free(t->index);
	}
	*t = larger;
}

static uint32_t
group_index(Table *t, double number)
{
	uint32_t	slot;

	if (2 * (uint64_t) t->n >= t->size)
		table_resize(t, t->size == 0 ? 1024 : 2 * t->size);
	slot = table_slot(t, number);
	if (t->index[slot] == 0)
	{
		t->number[slot] = number;
		t->index[slot] = ++t->n;
	}
	return t->index[slot] - 1;
}

/* The group of each row, and its number of members. */
static void
find_groups(MlRanking *r)
{
	Table		table = {0};
	size_t		row = 0;

	for (int b = 0; b < r->matrix->nblocks; b++)
	{
		const MlBlock *block = ml_matrix_block(r->matrix, b, false);

		for (int i = 0; i < block->n; i++)
		{
			double		grade = block->y[i];

			if (!(grade >= 0 && grade <= MAX_GRADE))
				ml_fail_data("objective \"lambdarank\" needs grades from 0 to %d as targets, but there is %g",
							 MAX_GRADE, grade);
			r->row_group[row++] = group_index(&table, block->group[i]);
		}
	}
	r->ngroups = table.n;
	ml_free(table.number);
	ml_free(table.index);
	r->start = ml_alloc((size_t) r->ngroups + 2, sizeof(uint32_t));
	for (size_t i = 0; i < row; i++)
		r->start[r->row_group[i] + 2]++;
	for (uint32_t g = 0; g < r->ngroups; g++)
	{
		if ((int) r->start[g + 2] > r->largest)
			r->largest = (int) r->start[g + 2];
		r->start[g + 2] += r->start[g + 1];
	}
}

static void
place_members(MlRanking *r)
{
	size_t		row = 0;

	for (int b = 0; b < r->matrix->nblocks; b++)
	{
		const MlBlock *block = ml_matrix_block(r->matrix, b, false);

		for (int i = 0; i < block->n; i++, row++)
		{
			/* start[g + 1] runs from the begin of group g to its end */
			uint32_t	at = r->start[r->row_group[row] + 1]++;

			r->row_member[row] = at;
			r->member[at].grade = block->y[i];
			r->member[at].key = block->key[i];
		}
	}
}

/* A tenth of the groups, by the smallest key in them. */
static void
hold_out(MlRanking *r, uint32_t seed)
{
	uint32_t	n = 0;

	r->held = ml_alloc(r->ngroups, sizeof(bool));
	for (uint32_t g = 0; g < r->ngroups; g++)
	{
		uint32_t	key = UINT32_MAX;

		for (uint32_t i = r->start[g]; i < r->start[g + 1]; i++)
			if (r->member[i].key < key)
				key = r->member[i].key;
		r->held[g] = ml_mix32(key ^ seed) < UINT32_MAX / 10;
		n += r->held[g];
	}
	if (n == 0 || n == r->ngroups)
		ml_fail_data("early stopping needs more groups than %u: a tenth of them is held out", r->ngroups);
}

MlRanking *
ml_ranking_create(MlMatrix *matrix, int ndcg_at, const MlProblem *problem, bool validate)
{
	MlRanking  *r = ml_alloc(1, sizeof(MlRanking));

	if (!matrix->grouped)
		ml_fail_param("objective \"lambdarank\" needs \"group\", the column that says which rows are ranked together");
	if (matrix->rows > UINT32_MAX - 2)
		ml_fail_data("objective \"lambdarank\" takes at most %u rows", UINT32_MAX - 2);
	r->matrix = matrix;
	r->row_group = ml_alloc(matrix->rows, sizeof(uint32_t));
	r->row_member = ml_alloc(matrix->rows, sizeof(uint32_t));
	r->member = ml_alloc(matrix->rows, sizeof(Member));
	find_groups(r);
	place_members(r);
	if (validate)
		hold_out(r, (uint32_t) ml_mix64(problem->seed, UINT64_MAX));
	r->k = ndcg_at == 0 || ndcg_at > r->largest ? r->largest : ndcg_at;
	r->order = ml_alloc(ml_threads, sizeof(uint32_t *));
	for (int t = 0; t < ml_threads; t++)
		r->order[t] = ml_alloc(r->largest, sizeof(uint32_t));
	r->discount = ml_alloc(r->largest, sizeof(double));
	for (int i = 0; i < r->k; i++)
		r->discount[i] = 1 / log2(i + 2.0);
	r->ndcg = ml_alloc(r->ngroups, sizeof(double));
	return r;
}

static size_t
first_row(int block)
{
	return (size_t) block * ML_BLOCK_ROWS;
}

bool
ml_ranking_held_out(const MlRanking *r, int block, int row)
{
	return r->held != NULL && r->held[r->row_group[first_row(block) + row]];
}

void
ml_ranking_score(MlRanking *r, int block, const MlBlock *rows)
{
	const uint32_t *member = r->row_member + first_row(block);

	for (int i = 0; i < rows->n; i++)
		r->member[member[i]].score = rows->score[i];
}

void
ml_ranking_rows(const MlRanking *r, int block, int first, int n, double *g, double *h)
{
	const uint32_t *member = r->row_member + first_row(block) + first;

	for (int i = 0; i < n; i++)
	{
		g[i] = r->member[member[i]].g;
		h[i] = r->member[member[i]].h;
	}
}

/* ---- gradients ---- */

/* Before another in the order by score (by_grade: in the best order). */
static bool
before(const Member *a, const Member *b, bool by_grade)
{
	if (by_grade)
		return a->grade > b->grade;
	if (a->score != b->score)
		return a->score > b->score;
	return a->key != b->key ? a->key < b->key : a->grade > b->grade;
}

/* Heap sort: no memory, and never slow. */
static void
sift(const Member *member, uint32_t *order, int root, int n, bool by_grade)
{
	for (int child; (child = 2 * root + 1) < n; root = child)
	{
		uint32_t	swap = order[root];

		if (child + 1 < n && before(&member[order[child]], &member[order[child + 1]], by_grade))
			child++;
		if (!before(&member[swap], &member[order[child]], by_grade))
			return;
		order[root] = order[child];
		order[child] = swap;
	}
}

static void
sort_group(const Member *member, uint32_t *order, int n, bool by_grade, bool large)
{
	for (int i = 0; i < n; i++)
		order[i] = (uint32_t) i;
	for (int i = n / 2; i-- > 0;)
		sift(member, order, i, n, by_grade);
	for (int i = n - 1; i > 0; i--)
	{
		uint32_t	swap = order[0];

		if (large && i % 1024 == 0)
			ml_check_interrupts();
		order[0] = order[i];
		order[i] = swap;
		sift(member, order, 0, i, by_grade);
	}
}

static double
gain(double grade)
{
	return exp2(grade) - 1;
}

static double
dcg(const MlRanking *r, const Member *member, const uint32_t *order, int n)
{
	double		sum = 0;

	for (int i = 0; i < n && i < r->k; i++)
		sum += gain(member[order[i]].grade) * r->discount[i];
	return sum;
}

static bool
is_large(const MlRanking *r, uint32_t group)
{
	uint64_t	n = r->start[group + 1] - r->start[group];

	return n * (n < (uint64_t) r->k ? n : (uint64_t) r->k) > LARGE_PAIRS;
}

/* The gradient of the sum of loss_ij over pairs with one of the first k places, and NDCG@k. */
static void
rank_group(const MlRanking *r, uint32_t group, uint32_t *order, bool large)
{
	Member	   *member = r->member + r->start[group];
	int			n = (int) (r->start[group + 1] - r->start[group]);
	double		best;

	sort_group(member, order, n, true, large);
	best = dcg(r, member, order, n);
	for (int i = 0; i < n; i++)
		member[i].g = member[i].h = 0;
	r->ndcg[group] = NAN;
	if (best == 0 || member[order[0]].grade == member[order[n - 1]].grade)
		return;
	sort_group(member, order, n, false, large);
	r->ndcg[group] = dcg(r, member, order, n) / best;
	for (int i = 0; i < n && i < r->k; i++)
	{
		Member	   *a = &member[order[i]];
		double		g = 0;
		double		h = 0;

		if (large)
			ml_check_interrupts();
		for (int j = i + 1; j < n; j++)
		{
			Member	   *b = &member[order[j]];
			double		sign = a->grade > b->grade ? 1 : -1;
			double		weight;
			double		q;

			if (a->grade == b->grade)
				continue;
			weight = fabs((gain(a->grade) - gain(b->grade)) * (r->discount[i] - r->discount[j])) / best;
			q = 1 / (1 + exp(sign * (a->score - b->score)));
			g -= sign * weight * q;
			h += weight * q * (1 - q);
			b->g += (float) (sign * weight * q);
			b->h += (float) (weight * q * (1 - q));
		}
		a->g += (float) g;
		a->h += (float) h;
	}
}

typedef struct Slice
{
	const MlRanking *ranking;
	uint32_t	first;
} Slice;

static void
rank_slice(void *arg, int i)
{
	const Slice *slice = arg;
	uint32_t	group = slice->first + (uint32_t) i;

	if (!is_large(slice->ranking, group))
		rank_group(slice->ranking, group, slice->ranking->order[ml_thread_number()], false);
}

void
ml_ranking_compute(MlRanking *r, double *loss, double *held_out_loss)
{
	double		sum[2] = {0, 0};
	MlExactSum *exact = ml_alloc(2, sizeof(MlExactSum));
	uint64_t	n[2] = {0, 0};

	for (uint32_t first = 0; first < r->ngroups; first += GROUPS_AT_ONCE)
	{
		Slice		slice = {r, first};
		uint32_t	left = r->ngroups - first;

		ml_check_interrupts();
		ml_threads_run(left < GROUPS_AT_ONCE ? (int) left : GROUPS_AT_ONCE, rank_slice, &slice);
	}
	for (uint32_t g = 0; g < r->ngroups; g++)
		if (is_large(r, g))
			rank_group(r, g, r->order[0], true);
	for (uint32_t g = 0; g < r->ngroups; g++)
	{
		int			held = r->held != NULL && r->held[g];

		if (isnan(r->ndcg[g]))
			continue;
		ml_exact_add(&exact[held], 1 - r->ndcg[g], 1);
		n[held]++;
	}
	for (int held = 0; held < 2; held++)
		sum[held] = n[held] > 0 ? ml_exact_value(&exact[held]) / (double) n[held] : 0;
	ml_free(exact);
	*loss = sum[0];
	*held_out_loss = sum[1];
}
