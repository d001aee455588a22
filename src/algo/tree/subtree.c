/*
 * subtree.c - what is below a node of few rows, grown from a copy of them.
 *
 * Most nodes of a deep tree have fewer rows than a histogram has bins.  Here the bins of
 * a node's rows lie column by column in the L1 or L2 cache, and the sums of a column at a
 * time are made in cells of which a bitmap says which are in use: the work grows with the
 * rows of a node, not with the bins.  Which nodes are grown in this way depends on
 * their rows only.
 *
 * With a limit of leaves everything is grown that could be taken if all leaves
 * came from here; the caller takes splits in the order of the whole tree, whose
 * restriction to a subtree is the order used here.
 */
#include <string.h>

#include "growing.h"

#define SUBTREE_UPDATES (ML_UPDATES / 16)	/* those of small nodes take longer, with what a node itself takes ... */
#define COLUMN_UPDATES 16		/* ... and what each of its columns does */

struct MlSubtree
{
	bool		interrupts;		/* are let through */
	size_t		updates;		/* since the last time */
	size_t		stride;			/* from one column to the next */
	int			n;
	uint16_t   *bin;			/* of row i in the plan's column j: bin[j * stride + i] */
	MlGradient *gradient;		/* as index */
	uint16_t   *index;			/* rows, those of a node together */
	uint16_t   *spare;
	MlGradient *spare_gradient;
	int64_t    *cells;			/* of one column, zero between uses */
	MlGradient *sorted;			/* a node's rows by their bin of a column */
	int		   *end;			/* in sorted, by bin that has rows */
	int		   *count;			/* by bin, zero between uses */
	uint64_t   *bits;			/* which cells are in use */
	int			words;
	int		   *start;			/* of a node's rows in index, by node - first */
	int		   *open;			/* nodes whose split was found but not made: stack or heap */
};

MlSubtree *
ml_subtree_create(const MlMatrix *matrix, const MlPlan *plan, int rows)
{
	MlSubtree  *s = ml_alloc(1, sizeof(MlSubtree));
	int			bins = 1;

	for (int j = 0; j < matrix->p; j++)
		if (matrix->bins[j].n + 1 > bins)
			bins = matrix->bins[j].n + 1;
	s->stride = (size_t) rows + 32; /* no power of two: columns would share cache sets */
	s->bin = ml_alloc(s->stride * plan->n, sizeof(uint16_t));
	s->gradient = ml_alloc(rows, sizeof(MlGradient));
	s->index = ml_alloc(rows, sizeof(uint16_t));
	s->spare = ml_alloc(rows, sizeof(uint16_t));
	s->spare_gradient = ml_alloc(rows, sizeof(MlGradient));
	s->cells = ml_alloc((size_t) bins * plan->width, sizeof(int64_t));
	s->sorted = ml_alloc(rows, sizeof(MlGradient));
	s->end = ml_alloc(bins, sizeof(int));
	s->count = ml_alloc(bins, sizeof(int));
	s->words = bins / 64 + 1;
	s->bits = ml_alloc(s->words, sizeof(uint64_t));
	s->start = ml_alloc(2 * (size_t) rows, sizeof(int));
	s->open = ml_alloc(rows, sizeof(int));
	return s;
}

void
ml_subtree_free(MlSubtree *s)
{
	ml_free(s->bin);
	ml_free(s->gradient);
	ml_free(s->index);
	ml_free(s->spare);
	ml_free(s->spare_gradient);
	ml_free(s->cells);
	ml_free(s->sorted);
	ml_free(s->end);
	ml_free(s->count);
	ml_free(s->bits);
	ml_free(s->start);
	ml_free(s->open);
	ml_free(s);
}

void
ml_subtree_gather(MlSubtree *s, const MlMatrix *matrix, const MlPlan *plan, const MlBlock *block,
				  const MlSegment *segment)
{
	const uint16_t *rows = block->order + segment->start;
	int			p = matrix->p;

	for (int i = 0; i < segment->count; i++)
	{
		uint16_t   *bin = s->bin + s->n;

		if (matrix->wide)
		{
			const uint16_t *from = block->bin16 + (size_t) rows[i] * p;

			for (int j = 0; j < plan->n; j++, bin += s->stride)
				*bin = from[plan->column[j]];
		}
		else
		{
			const uint8_t *from = block->bin8 + (size_t) rows[i] * p;

			for (int j = 0; j < plan->n; j++, bin += s->stride)
				*bin = from[plan->column[j]];
		}
		s->gradient[s->n++] = block->gradient[rows[i]];
	}
}

/* ---- a node ---- */

/* The bins that have rows go to search->list, ascending. */
static int
list_bins(MlSubtree *s, const MlSearch *search)
{
	int			k = 0;

	for (int w = 0; w < s->words; w++)
	{
		for (uint64_t bits = s->bits[w]; bits != 0; bits &= bits - 1)
			search->list[k++] = w * 64 + __builtin_ctzll(bits);
		s->bits[w] = 0;
	}
	return k;
}

/* Sums of a column over rows index[start..start + n - 1]; the bins that have rows go to search->list. */
static int
sum_column(MlSubtree *s, const MlSearch *search, int place, int start, int n)
{
	const uint16_t *column = s->bin + s->stride * place;
	const uint16_t *index = s->index + start;
	const MlGradient *gradient = s->gradient + start;
	int			width = search->width;

	for (int i = 0; i < n; i++)
	{
		unsigned	bin = column[index[i]];
		int64_t    *cell = s->cells + (size_t) bin * width;

		s->bits[bin / 64] |= (uint64_t) 1 << (bin % 64);
		if (search->classes == 0)
		{
			cell[0] += gradient[i].g;
			cell[1] += gradient[i].h;
		}
		else
			cell[gradient[i].g] += gradient[i].h;
		if (search->counted)
			cell[width - 1]++;
	}
	return list_bins(s, search);
}

/* Sorts these rows by the bins of a column; those that have rows go to search->list. */
static int
sort_column(MlSubtree *s, const MlSearch *search, int place, int start, int n)
{
	const uint16_t *column = s->bin + s->stride * place;
	const uint16_t *index = s->index + start;
	const MlGradient *gradient = s->gradient + start;
	int			at = 0;
	int			k;

	for (int i = 0; i < n; i++)
	{
		unsigned	bin = column[index[i]];

		s->bits[bin / 64] |= (uint64_t) 1 << (bin % 64);
		s->count[bin]++;
	}
	k = list_bins(s, search);
	for (int b = 0; b < k; b++)
	{
		int			bin = search->list[b];
		int			count = s->count[bin];

		s->count[bin] = at;
		s->end[b] = at += count;
	}
	for (int i = 0; i < n; i++)
		s->sorted[s->count[column[index[i]]]++] = gradient[i];
	for (int b = 0; b < k; b++)
		s->count[search->list[b]] = 0;
	return k;
}

/* Looks for the split of a node on a column; false: it is constant there. */
static bool
search_place(MlSubtree *s, MlNodes *nodes, int i, MlSearch *search, const MlPlan *plan, int place, int start, bool by_rows)
{
	int			n = (int) nodes->node[i].rows;
	int			width = search->width;
	int			column = plan->column[place];
	bool		varies;
	int			k;

	if (by_rows && search->matrix->bins[column].levels == 0)
	{
		k = sort_column(s, search, place, start, n);
		return ml_search_rows(search, nodes, i, column, k, s->sorted, s->end);
	}
	k = sum_column(s, search, place, start, n);
	varies = ml_search_column(search, nodes, i, column, k, s->cells);
	for (int b = 0; b < k; b++)
		memset(s->cells + (size_t) search->list[b] * width, 0, sizeof(int64_t) * width);
	return varies;
}

/* Finds the split of a node and makes its children; false: it stays a leaf. */
static bool
evaluate(MlSubtree *s, MlNodes *nodes, int i, int first, int *used, MlSearch *search, const MlPlan *plan, int start)
{
	int			n = (int) nodes->node[i].rows;
	bool		by_rows;
	MlDraw		draw;

	if (nodes->bare && nodes->node[i].place < 0)
	{
		memset(search->counts, 0, sizeof(int64_t) * nodes->classes);
		for (int a = start; a < start + n; a++)
			search->counts[s->gradient[a].g] += s->gradient[a].h;
	}
	if (!ml_nodes_splittable(nodes, i, search))
		return false;
	by_rows = ml_search_rows_suit(search, nodes, i);
	ml_search_begin(search);
	ml_draw_begin(&draw, nodes, i, search, plan);
	for (int place; (place = ml_draw_next(&draw, search)) >= 0;)
	{
		draw.varies |= search_place(s, nodes, i, search, plan, place, start, by_rows);
		ml_draw_tried(&draw);
		s->updates += n + COLUMN_UPDATES;
		if (s->interrupts && s->updates > SUBTREE_UPDATES)
		{
			/* a tree that sheds one row at a time takes the square of its rows */
			s->updates = 0;
			ml_check_interrupts();
		}
	}
	ml_draw_end(&draw, search);
	if (!ml_search_found(search))
		return false;
	ml_nodes_split(nodes, i, first + *used, search);
	for (int side = 0; side < 2; side++)
		nodes->node[first + *used + side].local = true;
	*used += 2;
	return true;
}

/* Hands the rows of a node to its children. */
static void
partition(MlSubtree *s, MlNodes *nodes, int i, int first, const MlSearch *search, int place, int start)
{
	const MlNode *node = nodes->node + i;
	const MlBins *bins = search->matrix->bins + node->feature;
	const uint32_t *set = nodes->sets + (size_t) i * nodes->words;
	const uint16_t *column = s->bin + s->stride * place;
	uint16_t   *index = s->index + start;
	MlGradient *gradient = s->gradient + start;
	int			n = (int) node->rows;
	int			left = 0;
	int			right = 0;

	for (int a = 0; a < n; a++)
	{
		uint16_t	row = index[a];
		MlGradient	g = gradient[a];
		bool		goes = ml_node_goes_left(node, set, bins, column[row]);

		index[left] = row;
		gradient[left] = g;
		s->spare[right] = row;
		s->spare_gradient[right] = g;
		left += goes;
		right += !goes;
	}
	memcpy(index + left, s->spare, sizeof(uint16_t) * right);
	memcpy(gradient + left, s->spare_gradient, sizeof(MlGradient) * right);
	nodes->node[node->left].rows = left;
	nodes->node[node->left + 1].rows = right;
	s->start[node->left - first] = start;
	s->start[node->left + 1 - first] = start + left;
}

static int
place_of(const MlPlan *plan, int feature)
{
	int			low = 0;
	int			high = plan->n - 1;

	if (plan->all)
		return feature;
	while (low < high)
	{
		int			mid = (low + high) / 2;

		if (plan->column[mid] < feature)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int
ml_subtree_grow(MlSubtree *s, MlNodes *nodes, int i, int first, MlSearch *search, const MlPlan *plan, bool interrupts)
{
	const MlGrowth *growth = search->growth;
	int			limit = growth->max_leaves;
	int			used = 0;
	int			nopen = 0;
	int			leaves = 1;

	s->interrupts = interrupts;
	for (int a = 0; a < s->n; a++)
		s->index[a] = (uint16_t) a;
	s->n = 0;
	nodes->node[i].local = true;
	if (evaluate(s, nodes, i, first, &used, search, plan, 0))
		s->open[nopen++] = i;
	while (nopen > 0 && (limit == 0 || leaves < limit))
	{
		int			top = limit > 0 ? ml_heap_pop(nodes, growth, s->open, &nopen) : s->open[--nopen];
		int			left = nodes->node[top].left;

		partition(s, nodes, top, first, search, place_of(plan, nodes->node[top].feature),
				  top == i ? 0 : s->start[top - first]);
		nodes->node[top].taken = limit == 0;
		leaves++;
		for (int child = left; child < left + 2; child++)
			if (evaluate(s, nodes, child, first, &used, search, plan, s->start[child - first]))
			{
				if (limit > 0)
					ml_heap_push(nodes, growth, s->open, &nopen, child);
				else
					s->open[nopen++] = child;
			}
	}
	return used;
}
