/*
 * isolation_forest.c - how few random cuts tell a row from the others.
 *
 * Liu, Ting, Zhou: Isolation Forest (2008).  Each tree sees a sample of
 * max_samples rows; a node takes a random column that is not constant in it and
 * a random threshold between the smallest and the largest value there, down to
 * depth ceil(log2(max_samples)).  A leaf of m rows at depth d stands for the path
 * length d + c(m), c(m) being the mean path of an unsuccessful search in a binary
 * tree of m keys; the score of a row is 2^(-mean path length / c(max_samples)).
 *
 * Missing values of a node go all to one side, chosen at random; a column with one
 * value and missing ones is cut between the two.  The levels of a category go
 * left or right at random, not all present ones to the same side.
 *
 * The trees are grown on the raw rows, not on bins.  Which rows a tree sees is a
 * matter of hashes of the row alone, so that their order does not matter: of a
 * row and a tree, e = -log(uniform) / weight is its rank, and the rows of the smallest ranks
 * are the sample (Efraimidis and Spirakis 2006).  As the greatest of these ranks
 * is about max_samples / rows, a row need be looked at only by the trees for which its
 * rank is below a limit somewhat above that, and these are found by
 * jumping: the number of trees to skip is geometric.
 */
#include <math.h>
#include <string.h>

#include "foreign.h"
#include "forest.h"
#include "grow.h"
#include "trees.h"

typedef struct IsolationParams
{
	int			n_estimators;
	int			max_samples;
} IsolationParams;

static const MlParam isolation_params[] = {
	{"n_estimators", "number of trees", ML_PARAM_INT, offsetof(IsolationParams, n_estimators), "100", 1, 100000, NULL},
	{"max_samples", "rows that each tree sees", ML_PARAM_INT, offsetof(IsolationParams, max_samples), "256", 2, 1000000, NULL},
	{NULL}
};

typedef struct Pick
{
	double		rank;
	size_t		slot;			/* of the row in the pool */
} Pick;

/* The samples of some of the trees: a heap of picks each, the greatest rank first, over one pool of rows. */
typedef struct Sampler
{
	const MlProblem *problem;
	int			all;			/* trees of the forest */
	int			first;			/* trees first .. first + ntrees - 1 are sampled now */
	int			ntrees;
	size_t		k;				/* rows a tree wants */
	double		limit;			/* ranks above are not looked at */
	Pick	   *picks;			/* ntrees x k */
	size_t	   *count;			/* ntrees */
	double	   *pool;			/* rows of p values */
	uint32_t   *uses;			/* of a row of the pool, by the heaps */
	size_t	   *unused;			/* stack of rows of the pool */
	size_t		nunused;
	size_t		room;
} Sampler;

/* One tree under construction. */
typedef struct Isolation
{
	const MlProblem *problem;
	int			max_depth;
	const double **row;			/* the sample */
	MlTree		tree;
	double	   *value;			/* of a node: path length */
	int		   *start;			/* of a node: its rows */
	int		   *end;
	uint64_t   *path;			/* of a node: seed of what is random in it */
	int		   *column;			/* p: a permutation */
	uint32_t   *sets;
	size_t		nwords;			/* used of sets */
} Isolation;

/* Mean path length of an unsuccessful search among n keys; harmonic numbers exact below 50. */
static double
mean_path(double n)
{
	double		harmonic = 0;

	if (n < 2)
		return 0;
	if (n > 50)
		harmonic = log(n - 1) + 0.57721566490153286 + 1 / (2 * (n - 1)) - 1 / (12 * (n - 1) * (n - 1));
	else
		for (int i = 1; i < n; i++)
			harmonic += 1.0 / i;
	return 2 * harmonic - 2 * (n - 1) / n;
}

/* ---- samples ---- */

/* Moves the pick at `at` down until no greater rank is below it. */
static void
sift_down(Pick *heap, size_t n, size_t at)
{
	Pick		moved = heap[at];

	for (;;)
	{
		size_t		child = 2 * at + 1;

		if (child >= n)
			break;
		if (child + 1 < n && heap[child + 1].rank > heap[child].rank)
			child++;
		if (heap[child].rank <= moved.rank)
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moved;
}

static void
push(Pick *heap, size_t n, Pick pick)
{
	size_t		at = n;

	for (; at > 0 && heap[(at - 1) / 2].rank < pick.rank; at = (at - 1) / 2)
		heap[at] = heap[(at - 1) / 2];
	heap[at] = pick;
}

/* Bytes for the samples of so many trees. */
static double
sampler_bytes(const Sampler *s, uint64_t rows, double ntrees)
{
	double		room = fmin((double) rows, ntrees * (double) s->k) + 1;

	return ntrees * (double) s->k * sizeof(Pick) + room * (s->problem->p * sizeof(double) + sizeof(uint32_t) + sizeof(size_t));
}

static void
sampler_create(Sampler *s, uint64_t rows)
{
	s->room = rows < (uint64_t) s->ntrees * s->k ? rows + 1 : (size_t) s->ntrees * s->k + 1;
	s->picks = ml_alloc((size_t) s->ntrees * s->k, sizeof(Pick));
	s->count = ml_alloc(s->ntrees, sizeof(size_t));
	s->pool = ml_alloc(s->room, s->problem->p * sizeof(double));
	s->uses = ml_alloc(s->room, sizeof(uint32_t));
	s->unused = ml_alloc(s->room, sizeof(size_t));
}

static void
sampler_free(Sampler *s)
{
	ml_free(s->picks);
	ml_free(s->count);
	ml_free(s->pool);
	ml_free(s->uses);
	ml_free(s->unused);
}

/* A number of the row itself: rows that share u, as those of one group do, differ by their values. */
static uint64_t
row_key(const MlTile *tile, int i, int p)
{
	uint64_t	key = ml_forest_bits(tile->u[i]);

	for (int j = 0; j < p; j++)
		key = (key ^ ml_forest_bits(tile->x[(size_t) i * p + j])) * UINT64_C(0x9e3779b97f4a7c15) + (key >> 29);
	return key;
}

/*
 * The next tree after `tree` for which the row's rank is below the limit.
 * Exponential numbers, counted in units of the limit and rounded down, are geometric.
 */
static int
next_tree(const Sampler *s, int tree, double w, uint64_t key)
{
	double		skip = floor(-log(ml_forest_open(key, 2 * ((uint64_t) tree + 1))) / (s->limit * w));

	return skip < s->all - tree - 1 ? tree + 1 + (int) skip : s->all;
}

static void
offer_row(Sampler *s, const double *x, double w, uint64_t key)
{
	int			p = s->problem->p;
	size_t		slot = SIZE_MAX;
	double		chance = -expm1(-s->limit * w);

	for (int tree = next_tree(s, -1, w, key); tree < s->first + s->ntrees; tree = next_tree(s, tree, w, key))
	{
		int			t = tree - s->first;
		Pick		pick;
		Pick	   *heap;

		if (t < 0)
			continue;
		/* exponential, given that it is below the limit */
		pick.rank = -log1p(-chance * ml_forest_uniform(key, 2 * (uint64_t) tree + 1)) / w;
		heap = s->picks + (size_t) t * s->k;
		if (s->count[t] == s->k && pick.rank >= heap[0].rank)
			continue;
		if (slot == SIZE_MAX)
		{
			slot = s->unused[--s->nunused];
			memcpy(s->pool + slot * p, x, sizeof(double) * p);
		}
		pick.slot = slot;
		s->uses[slot]++;
		if (s->count[t] < s->k)
			push(heap, s->count[t]++, pick);
		else
		{
			if (--s->uses[heap[0].slot] == 0)
				s->unused[s->nunused++] = heap[0].slot;
			heap[0] = pick;
			sift_down(heap, s->k, 0);
		}
	}
}

static uint64_t
tile_key(const MlProblem *problem, const MlTile *tile, int i)
{
	return ml_forest_hash(problem->seed, row_key(tile, i, problem->p));
}

static void
sample_rows(Sampler *s, MlData *data)
{
	int			p = s->problem->p;
	MlTile		tile;

	memset(s->count, 0, sizeof(size_t) * s->ntrees);
	memset(s->uses, 0, sizeof(uint32_t) * s->room);
	for (s->nunused = 0; s->nunused < s->room; s->nunused++)
		s->unused[s->nunused] = s->nunused;
	ml_data_rewind(data);
	while (ml_data_next(data, &tile))
		for (int i = 0; i < tile.n; i++)
			offer_row(s, tile.x + (size_t) i * p, tile.w ? tile.w[i] : 1, tile_key(s->problem, &tile, i));
}

/* Do all trees find enough rows under the limit? */
static bool
enough_rows(const Sampler *s, MlData *data, size_t *found)
{
	MlTile		tile;

	memset(found, 0, sizeof(size_t) * s->all);
	ml_data_rewind(data);
	while (ml_data_next(data, &tile))
		for (int i = 0; i < tile.n; i++)
		{
			double		w = tile.w ? tile.w[i] : 1;
			uint64_t	key = tile_key(s->problem, &tile, i);

			for (int tree = next_tree(s, -1, w, key); tree < s->all; tree = next_tree(s, tree, w, key))
				found[tree]++;
		}
	for (int t = 0; t < s->all; t++)
		if (found[t] < s->k)
			return false;
	return true;
}

/* Zero when the rows have none. */
static double
total_weight(MlData *data)
{
	double		total = 0;
	MlTile		tile;

	ml_data_rewind(data);
	while (ml_data_next(data, &tile) && tile.w)
		for (int i = 0; i < tile.n; i++)
			total += tile.w[i];
	return total;
}

/*
 * A limit that leaves a tree too few rows with a probability below 1e-10.  How
 * uneven weights are is found out by trying.
 */
static void
find_limit(Sampler *s, MlData *data)
{
	double		rows = (double) ml_data_rows(data);
	double		wanted = (double) s->k + 7 * sqrt((double) s->k) + 25;
	double		weight = total_weight(data);
	size_t	   *found;

	if (wanted >= rows)
	{
		s->limit = INFINITY;
		return;
	}
	s->limit = -log1p(-wanted / rows);
	if (weight == 0)
		return;
	s->limit *= rows / weight;
	found = ml_alloc(s->all, sizeof(size_t));
	while (!enough_rows(s, data, found))
		s->limit *= 4;
	ml_free(found);
}

/* ---- trees ---- */

static double
draw(Isolation *g, int node)
{
	g->path[node] = ml_forest_hash(g->path[node], 1);
	return ml_forest_uniform(g->path[node], 0);
}

/* Random sides for all levels; those that are present are not all on one. */
static bool
cut_category(Isolation *g, int node, int column)
{
	MlGrown    *n = &g->tree.node[node];
	int			words = (g->problem->levels[column] + 31) / 32;
	uint32_t   *set = g->sets + g->nwords;
	int			first = -1;
	int			other = -1;
	bool		missing = false;
	bool		both = false;

	for (int i = g->start[node]; i < g->end[node]; i++)
	{
		double		x = g->row[i][column];

		if (isnan(x))
			missing = true;
		else if (first < 0)
			first = (int) x;
		else if ((int) x != first && (other < 0 || (int) x > other))
			other = (int) x;
	}
	if (first < 0 || (other < 0 && !missing))
		return false;
	for (int i = 0; i < words; i++)
		set[i] = (uint32_t) (draw(g, node) * 4294967296.0);
	for (int i = g->start[node]; i < g->end[node] && !both; i++)
	{
		double		x = g->row[i][column];

		if (!isnan(x))
			both = ((set[(int) x / 32] >> ((int) x % 32) & 1) != (set[first / 32] >> (first % 32) & 1));
	}
	n->missing_left = draw(g, node) < 0.5;
	if (other < 0)
	{
		/* one level and missing ones */
		set[first / 32] &= ~(1u << first % 32);
		set[first / 32] |= (uint32_t) !n->missing_left << first % 32;
	}
	else if (!both)
	{
		/* the choice of the level must not depend on the order of rows: the greatest moves over */
		int			level = other > first ? other : first;

		set[level / 32] ^= 1u << level % 32;
	}
	if (g->problem->levels[column] % 32)
		set[words - 1] &= (1u << g->problem->levels[column] % 32) - 1;
	n->set = set;
	g->nwords += words;
	return true;
}

static bool
cut_number(Isolation *g, int node, int column)
{
	MlGrown    *n = &g->tree.node[node];
	double		low = INFINITY;
	double		high = -INFINITY;
	bool		missing = false;

	for (int i = g->start[node]; i < g->end[node]; i++)
	{
		double		x = g->row[i][column];

		if (isnan(x))
			missing = true;
		low = x < low ? x : low;
		high = x > high ? x : high;
	}
	if (low > high || (low == high && !missing))
		return false;
	if (low == high)
	{
		n->threshold = low;
		n->missing_left = true;
	}
	else
	{
		double		u = draw(g, node);

		n->threshold = high * (1 - u) + low * u;
		if (!(n->threshold > low && n->threshold <= high))
			n->threshold = high;
		n->missing_left = draw(g, node) < 0.5;
	}
	return true;
}

/* Columns in random order until one is not constant here. */
static bool
cut(Isolation *g, int node)
{
	MlGrown    *n = &g->tree.node[node];
	int			p = g->problem->p;

	/* from the same order in every node, so that siblings do not depend on each other */
	for (int j = 0; j < p; j++)
		g->column[j] = j;
	for (int left = p; left > 0; left--)
	{
		int			at = (int) (draw(g, node) * left);
		int			column = g->column[at];

		g->column[at] = g->column[left - 1];
		n->feature = column;
		n->set = NULL;
		if (g->problem->levels && g->problem->levels[column] > 0 ? cut_category(g, node, column) : cut_number(g, node, column))
			return true;
	}
	n->feature = 0;
	return false;
}

static bool
goes_left(const MlGrown *n, double x)
{
	if (isnan(x))
		return n->missing_left;
	if (n->set)
		return n->set[(int) x / 32] >> ((int) x % 32) & 1;
	return x < n->threshold;
}

static void
add_node(Isolation *g, int start, int end, int depth, uint64_t path)
{
	int			i = g->tree.n++;
	MlGrown    *n = &g->tree.node[i];

	memset(n, 0, sizeof(*n));
	n->depth = depth;
	n->rows = n->h = end - start;
	n->value = g->value[i] = depth + mean_path(end - start);
	g->start[i] = start;
	g->end[i] = end;
	g->path[i] = path;
}

static void
grow_isolation(Isolation *g, int rows, uint64_t seed)
{
	g->tree.n = 0;
	g->tree.leaves = 1;
	g->nwords = 0;
	add_node(g, 0, rows, 0, seed);
	for (int i = 0; i < g->tree.n; i++)
	{
		MlGrown    *n = &g->tree.node[i];
		int			low = g->start[i];
		int			high = g->end[i];
		uint64_t	path = g->path[i];

		if (n->depth >= g->max_depth || high - low < 2 || !cut(g, i))
			continue;
		while (low < high)
		{
			const double *row = g->row[low];

			if (goes_left(n, row[n->feature]))
				low++;
			else
			{
				g->row[low] = g->row[--high];
				g->row[high] = row;
			}
		}
		n->left = g->tree.n;
		g->tree.leaves++;
		add_node(g, g->start[i], low, n->depth + 1, ml_forest_hash(path, 2));
		add_node(g, low, g->end[i], n->depth + 1, ml_forest_hash(path, 3));
	}
}

static void
isolation_create(Isolation *g, const MlProblem *problem, size_t k)
{
	size_t		words = 0;

	memset(g, 0, sizeof(*g));
	g->problem = problem;
	while ((size_t) 1 << g->max_depth < k)
		g->max_depth++;
	for (int j = 0; problem->levels && j < problem->p; j++)
		if ((size_t) (problem->levels[j] + 31) / 32 > words)
			words = (problem->levels[j] + 31) / 32;
	g->row = ml_alloc(k, sizeof(double *));
	g->tree.node = ml_alloc(2 * k, sizeof(MlGrown));
	g->value = ml_alloc(2 * k, sizeof(double));
	g->start = ml_alloc(2 * k, sizeof(int));
	g->end = ml_alloc(2 * k, sizeof(int));
	g->path = ml_alloc(2 * k, sizeof(uint64_t));
	g->column = ml_alloc(problem->p, sizeof(int));
	g->sets = ml_alloc(k * words, sizeof(uint32_t));
}

/* ---- training ---- */

static void
isolation_fit(const MlProblem *problem, MlData *data, MlResult *result)
{
	const IsolationParams *params = problem->params;
	uint64_t	rows = ml_data_rows(data);
	Sampler		s = {.problem = problem};
	Isolation	g;
	MlTrees    *trees = ml_trees_create(problem, 1, 1);
	int			batch = params->n_estimators;

	s.all = batch;
	s.k = rows < (uint64_t) params->max_samples ? (size_t) rows : (size_t) params->max_samples;
	find_limit(&s, data);
	/* when the samples of all trees do not fit, the rows are read once for every few of them */
	while (batch > 1 && sampler_bytes(&s, rows, batch) > (double) ml_memory_left() / 2)
		batch = (batch + 1) / 2;
	isolation_create(&g, problem, s.k);
	trees->link = ML_LINK_ISOLATION;
	trees->average = true;
	trees->objective = "isolation";
	trees->scale = s.k > 1 ? mean_path((double) s.k) : 1;
	for (s.first = 0; s.first < params->n_estimators; s.first += batch)
	{
		s.ntrees = params->n_estimators - s.first < batch ? params->n_estimators - s.first : batch;
		sampler_create(&s, rows);
		sample_rows(&s, data);
		for (int t = 0; t < s.ntrees; t++)
		{
			uint64_t	seed = ml_forest_hash(ml_forest_hash(problem->seed, UINT64_MAX), (uint64_t) (s.first + t));

			for (size_t i = 0; i < s.count[t]; i++)
				g.row[i] = s.pool + s.picks[(size_t) t * s.k + i].slot * problem->p;
			grow_isolation(&g, (int) s.count[t], seed);
			/* a lone row tells nothing: its score is 1/2 */
			if (s.k == 1)
				g.value[0] = 1;
			ml_trees_add(trees, &g.tree, 0, g.value, 1);
			ml_report_iteration(s.first + t + 1, NAN);
		}
		sampler_free(&s);
	}
	result->model = trees;
	result->objective = NAN;
	result->converged = true;
	result->stop = "all trees grown";
}

const MlAlgorithm ml_algo_isolation_forest = {
	.name = "isolation_forest",
	.summary = "anomaly score by how few random cuts isolate a row",
	.tasks = ML_ANOMALY,
	.flags = ML_NATIVE,
	.format = ML_TREES_FORMAT,
	.params = isolation_params,
	.params_size = sizeof(IsolationParams),
	.fit = isolation_fit,
	.predict = ml_trees_predict,
	.save = ml_trees_save,
	.load = ml_trees_load,
	.describe = ml_trees_describe,
	.explain = ml_trees_explain,
	.formula = ml_trees_formula,
	.importance_by = ml_trees_importance_by,
	.writes = ml_tree_formats,
};
