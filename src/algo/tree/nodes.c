/*
 * nodes.c - nodes of a tree that is being grown: their sums, limits, order, and the
 * columns that may be tried at them.
 *
 * Columns are drawn by a hash of the tree's seed and the node's path, levels of
 * the tree by one of the depth.  Interaction sets work as in XGBoost: everywhere but at
 * the root, a column may be used if it was used above, or if a set that contains it
 * contains everything used above.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "cuts.h"
#include "growing.h"

/* The larger copy of an array of ml_alloc. */
static void *
grown(void *old, size_t count, size_t room, size_t size)
{
	void	   *new = ml_alloc(room, size);

	ml_check_interrupts();		/* to clear some 100 MB takes as long as is allowed */
	ml_copy(new, old, count * size);
	if (old != NULL)
		ml_free(old);
	return new;
}

void
ml_nodes_reserve(MlNodes *nodes, int more)
{
	int			room = nodes->n + more;

	if (room <= nodes->room)
		return;
	if (room < 2 * nodes->room)
		room = 2 * nodes->room;
	nodes->node = grown(nodes->node, nodes->n, room, sizeof(MlNode));
	if (nodes->classes > 0 && !nodes->bare)
		nodes->counts = grown(nodes->counts, (size_t) nodes->n * nodes->classes,
							  (size_t) room * nodes->classes, sizeof(int64_t));
	if (nodes->words > 0)
		nodes->sets = grown(nodes->sets, (size_t) nodes->n * nodes->words,
							(size_t) room * nodes->words, sizeof(uint32_t));
	nodes->room = room;
}

void
ml_nodes_reserve_counts(MlNodes *nodes, int more)
{
	int			room = nodes->ncounts + more;

	if (!nodes->bare || room <= nodes->count_room)
		return;
	if (room < 2 * nodes->count_room)
		room = 2 * nodes->count_room;
	nodes->counts = grown(nodes->counts, (size_t) nodes->ncounts * nodes->classes, (size_t) room * nodes->classes,
						  sizeof(int64_t));
	nodes->count_room = room;
}

void
ml_nodes_free(MlNodes *nodes)
{
	if (nodes->node != NULL)
		ml_free(nodes->node);
	if (nodes->counts != NULL)
		ml_free(nodes->counts);
	if (nodes->sets != NULL)
		ml_free(nodes->sets);
	nodes->node = NULL;
	nodes->counts = NULL;
	nodes->sets = NULL;
	nodes->n = nodes->room = 0;
	nodes->ncounts = nodes->count_room = 0;
}

/* Bins below the result go left: the cut nearest to the middle of those between two bins with rows. */
static int
boundary(const MlBins *bins, int last, int next)
{
	double		middle;
	int			a = last + 1;
	int			b = next;

	if (next == bins->n || a == b)
		return next;
	middle = bins->cut[last] / 2 + bins->cut[next - 1] / 2;
	while (a < b)
	{
		int			mid = (a + b) / 2;

		if (bins->cut[mid - 1] < middle)
			a = mid + 1;
		else
			b = mid;
	}
	return a > last + 1 && middle - bins->cut[a - 2] <= bins->cut[a - 1] - middle ? a - 1 : a;
}

/*
 * Numbers below the result go left.  Where the values on both sides of the split are known it lies half way between them, or
 * just above that: a number in the very middle, which whole numbers often are, goes left, as in scikit-learn.
 * When only missing values go right every number lies below.
 */
static double
cut_of(const MlBins *bins, const MlSplit *split, int bin)
{
	double		cut;

	if (bin == bins->n)
		return DBL_MAX;
	if (!isnan(split->threshold))
		return split->threshold;
	if (bins->least == NULL)
		return bins->cut[bin - 1];
	cut = ml_cut_between(bins->most[split->bin], bins->least[split->next]);
	return cut < bins->least[split->next] ? nextafter(cut, INFINITY) : cut;
}

/* Limits of the children's values after a split on a monotone column. */
static void
limit(MlNode *left, MlNode *right, const MlGrowth *growth, int sign)
{
	double		a = ml_search_value(growth, (double) left->g * growth->g_unit, (double) left->h * growth->h_unit,
									left->low, left->high);
	double		b = ml_search_value(growth, (double) right->g * growth->g_unit, (double) right->h * growth->h_unit,
									right->low, right->high);
	double		middle = a / 2 + b / 2;

	if (sign > 0)
		left->high = right->low = middle;
	else
		left->low = right->high = middle;
}

void
ml_nodes_split(MlNodes *nodes, int i, int left, const MlSearch *search)
{
	const MlSplit *best = &search->best;
	const MlGrowth *growth = search->growth;
	const MlBins *bins = search->matrix->bins + best->feature;
	MlNode	   *node = nodes->node + i;
	MlNode	   *child = nodes->node + left;
	int			classes = nodes->classes;
	const int64_t *counts = ml_node_counts(nodes, i, search);

	node->left = left;
	node->feature = best->feature;
	node->gain = best->gain;
	node->missing_left = best->missing_left;
	node->bin = bins->levels > 0 ? 0 : boundary(bins, best->bin, best->next);
	node->threshold = bins->levels > 0 ? 0 : cut_of(bins, best, node->bin);
	if (nodes->words > 0)
		memcpy(nodes->sets + (size_t) i * nodes->words, best->set, sizeof(uint32_t) * nodes->words);
	for (int side = 0; side < 2; side++)
	{
		child[side] = (MlNode) {.parent = i, .depth = node->depth + 1, .low = node->low, .high = node->high,
			.path = ml_grow_hash(node->path, side), .slot = -1, .place = -1};
		if (nodes->bare && !node->local)
			child[side].place = nodes->ncounts++;
		if (classes == 0)
		{
			child[side].g = side ? node->g - best->left[0] : best->left[0];
			child[side].h = side ? node->h - best->left[1] : best->left[1];
		}
		for (int c = 0; c < classes; c++)
		{
			int64_t		mine = side ? counts[c] - best->left[c] : best->left[c];

			if (!nodes->bare || child[side].place >= 0)
				ml_node_counts(nodes, left + side, search)[c] = mine;
			child[side].h += mine;
		}
	}
	if (classes == 0 && growth->monotone != NULL && growth->monotone[best->feature] != 0)
		limit(child, child + 1, growth, growth->monotone[best->feature]);
}

bool
ml_nodes_splittable(const MlNodes *nodes, int i, const MlSearch *search)
{
	const MlGrowth *growth = search->growth;
	const MlNode *node = nodes->node + i;
	const int64_t *counts = ml_node_counts(nodes, i, search);
	int			present = 0;

	if ((growth->max_depth > 0 && node->depth >= growth->max_depth) || node->rows < 2 ||
		node->rows < growth->min_split_rows || node->rows / 2 < (double) search->min_rows ||
		node->h / 2 < search->min_h)
		return false;
	if (nodes->classes == 0)
		return true;
	for (int c = 0; c < nodes->classes && present < 2; c++)
		present += counts[c] > 0;
	return present > 1;
}

/* ---- order ---- */

bool
ml_nodes_before(const MlGrowth *growth, const MlNode *a, const MlNode *b)
{
	if (!growth->best_first && a->depth != b->depth)
		return a->depth < b->depth;
	if (a->gain != b->gain)
		return a->gain > b->gain;
	return a->path < b->path;
}

void
ml_heap_push(const MlNodes *nodes, const MlGrowth *growth, int *heap, int *n, int i)
{
	int			at = (*n)++;

	while (at > 0 && ml_nodes_before(growth, nodes->node + i, nodes->node + heap[(at - 1) / 2]))
	{
		heap[at] = heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	heap[at] = i;
}

int
ml_heap_pop(const MlNodes *nodes, const MlGrowth *growth, int *heap, int *n)
{
	int			top = heap[0];
	int			moved = heap[--(*n)];
	int			at = 0;

	for (int child; (child = 2 * at + 1) < *n; at = child)
	{
		if (child + 1 < *n && ml_nodes_before(growth, nodes->node + heap[child + 1], nodes->node + heap[child]))
			child++;
		if (!ml_nodes_before(growth, nodes->node + heap[child], nodes->node + moved))
			break;
		heap[at] = heap[child];
	}
	heap[at] = moved;
	return top;
}

/* ---- columns to try ---- */

int
ml_draw_count(double share, int n)
{
	int			k = (int) (share * n + 0.5);

	if (share <= 0)
		return n;				/* not given */
	return k < 1 ? 1 : k > n ? n : k;
}

/* Draws from shuffle[at..n-1] into shuffle[at]. */
static int
draw(MlSearch *search, uint64_t hash, int at, int n)
{
	int			j = at + (int) (((ml_grow_hash(hash, at) >> 32) * (uint64_t) (n - at)) >> 32);
	int			drawn = search->shuffle[j];

	search->shuffle[j] = search->shuffle[at];
	search->shuffle[at] = drawn;
	search->drawn[at] = j;
	return drawn;
}

/* Undoes `n` draws. */
static void
undo(MlSearch *search, int n)
{
	while (n-- > 0)
	{
		int			j = search->drawn[n];
		int			drawn = search->shuffle[n];

		search->shuffle[n] = search->shuffle[j];
		search->shuffle[j] = drawn;
	}
}

void
ml_draw_sample(MlSearch *search, uint64_t hash, int n, int k, int *place)
{
	int			at = 0;

	memset(search->allowed, 0, sizeof(bool) * n);
	for (int i = 0; i < k; i++)
		search->allowed[draw(search, hash, i, n)] = true;
	undo(search, k);
	for (int j = 0; j < n; j++)
		if (search->allowed[j])
			place[at++] = j;
}

/* Marks the columns that interaction sets let node i use. */
static void
mark_allowed(const MlNodes *nodes, int i, MlSearch *search)
{
	const MlGrowth *growth = search->growth;
	int			p = search->matrix->p;

	memset(search->allowed, 0, sizeof(bool) * p);
	for (int s = 0; s < growth->nsets; s++)
	{
		const bool *set = growth->sets + (size_t) s * p;
		bool		whole = true;

		for (int a = i; whole && nodes->node[a].depth > 0; a = nodes->node[a].parent)
			whole = set[nodes->node[nodes->node[a].parent].feature];
		for (int j = 0; whole && j < p; j++)
			search->allowed[j] |= set[j];
	}
	for (int a = i; nodes->node[a].depth > 0; a = nodes->node[a].parent)
		search->allowed[nodes->node[nodes->node[a].parent].feature] = true;
}

void
ml_draw_begin(MlDraw *draw, const MlNodes *nodes, int i, MlSearch *search, const MlPlan *plan)
{
	const MlGrowth *growth = search->growth;
	const MlNode *node = nodes->node + i;
	int			n = plan->n;

	*draw = (MlDraw) {.n = n};
	if (growth->colsample_level > 0 && growth->colsample_level < 1)
	{
		draw->n = ml_draw_count(growth->colsample_level, n);
		draw->place = search->place;
		ml_draw_sample(search, ml_grow_hash(growth->seed ^ 0x6c6576656cu, node->depth), n, draw->n, search->place);
	}
	if (growth->nsets > 0 && node->depth > 0)
	{
		int			k = 0;

		mark_allowed(nodes, i, search);
		for (int a = 0; a < draw->n; a++)
		{
			int			place = draw->place ? draw->place[a] : a;

			if (search->allowed[plan->column[place]])
				search->place[k++] = place;
		}
		draw->n = k;
		draw->place = search->place;
	}
	draw->left = draw->n == 0 ? 0 : ml_draw_count(growth->colsample_node, draw->n);
	draw->random = draw->left < draw->n;
	draw->hash = ml_grow_hash(node->path, 0x636f6c756d6eu);
}

int
ml_draw_next(MlDraw *drawing, MlSearch *search)
{
	int			i = drawing->at;

	if (drawing->left == 0 || drawing->at == drawing->n)
		return -1;
	if (drawing->random)
		i = draw(search, drawing->hash, drawing->at, drawing->n);
	drawing->at++;
	drawing->left--;
	return drawing->place ? drawing->place[i] : i;
}

void
ml_draw_end(MlDraw *drawing, MlSearch *search)
{
	if (drawing->random)
		undo(search, drawing->at);
}
