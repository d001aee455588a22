/*
 * split.c - the best split of a node on a column, from the sums of its bins.
 *
 * GRADIENT (Chen and Guestrin 2016, eq. 7): gain = score(L) + score(R) - score(L + R) with
 * score(G, H) = T(G)^2 / (H + l2), T the soft threshold at l1.  Where values are
 * limited (max_step, monotone columns) the score is that of the limited value v:
 * -(2 G v + (H + l2) v^2 + 2 l1 |v|).  GINI: sum of squared class weights over the
 * weight; ENTROPY: sum of c log2 c - W log2 W, in whole numbers.  All are in units of weight.
 *
 * Missing values, when the node has some, are tried on both sides, and alone on
 * the right; otherwise, and when learn_missing says so, they go where more weight goes.  Levels of a category are sorted by
 * T(G) / (H + l2), or the share of a class, and cut like numbers, which finds the best set for
 * l1 = l2 = 0 (Fisher 1958) and two classes (Breiman et al. 1984); for more classes each of the
 * ORDERS heaviest orders the levels once.  The best set of k levels gains up to k times what one level does by
 * chance, hence rows_per_level.  Levels that the node has no rows of go with missing values.
 *
 * Between bins that have rows lie any number of empty ones.  Where the bins' values are known the threshold is half way
 * between those on both sides, or what was drawn, as in exact algorithms; otherwise the cut nearest to that.
 *
 * Pure but for creation: the same sums give the same split.
 */
#include <math.h>
#include <float.h>
#include <string.h>

#include "growing.h"

#define ORDERS 8				/* classes that sort levels: the work grows with classes squared */
#define ROUNDING 1e-13			/* of a score: gains below are rounding errors */
#define TERMS 4096				/* c log2 c of small c, in the L1 cache */
#define TERM_BITS 52			/* of the greatest of a node: a double has no more */

/* The cuts that a column offers, and the best of them. */
typedef struct Sweep
{
	const int  *order;			/* k bins: a cut after i sends order[0..i] left */
	int			k;
	const int64_t *cells;
	const int64_t *missing;		/* sums of missing values, or NULL */
	int64_t		missing_weight;
	bool		follow;			/* missing values go with the heavier side */
	const MlGradient *rows;		/* instead of cells: see ml_search_rows */
	const int  *end;
	int			nmissing;		/* behind those of the last bin */
	int			only;			/* the only cut to look at, or -1 */
	int			boundary;		/* drawn at random: bins below it go left; 0: not drawn */
	double		threshold;		/* and so do numbers below this one */
	bool		single;			/* left goes order[i] alone */
	int			sign;			/* of a monotone column */
	double		noise;			/* what rounding may do to a gain, beside ROUNDING */
	double		score;
	int			at;				/* -1: none */
	bool		missing_left;
} Sweep;

static int
most_bins(const MlMatrix *matrix)
{
	int			most = 1;

	for (int j = 0; j < matrix->p; j++)
		if (matrix->bins[j].n > most)
			most = matrix->bins[j].n;
	return most + 1;
}

/* Weight in units of h; what rounding took from a whole number of rows is given. */
static int64_t
least(double weight, double unit)
{
	double		units = ceil(weight / unit * (1 - 1e-12));

	return units < 1 ? 1 : units > 9e18 ? INT64_MAX : (int64_t) units;
}

static bool
any_monotone(const MlMatrix *matrix, const MlGrowth *growth)
{
	if (growth->monotone != NULL && growth->criterion == ML_SPLIT_GRADIENT)
		for (int j = 0; j < matrix->p; j++)
			if (growth->monotone[j] != 0)
				return true;
	return false;
}

void
ml_search_create(MlSearch *search, const MlMatrix *matrix, const MlGrowth *growth, const MlPlan *plan, int words)
{
	int			bins = most_bins(matrix);

	search->matrix = matrix;
	search->width = plan->width;
	search->classes = plan->classes;
	search->counted = plan->counted;
	search->words = words;
	search->list = ml_alloc(bins, sizeof(int));
	search->level = ml_alloc(bins, sizeof(int));
	search->key = ml_alloc(bins, sizeof(double));
	search->mass = ml_alloc(2 * (size_t) plan->classes + 1, sizeof(double));
	search->shuffle = ml_alloc(matrix->p, sizeof(int));
	search->drawn = ml_alloc(matrix->p, sizeof(int));
	for (int j = 0; j < matrix->p; j++)
		search->shuffle[j] = j;
	search->place = ml_alloc(matrix->p, sizeof(int));
	search->allowed = ml_alloc(matrix->p, sizeof(bool));
	search->best.left = ml_alloc(plan->width, sizeof(int64_t));
	search->best.set = ml_alloc(words + 1, sizeof(uint32_t));
	search->counts = ml_alloc(plan->classes, sizeof(int64_t));
	search->present = ml_alloc(plan->classes, sizeof(int));
	search->mine = ml_alloc(plan->classes, sizeof(int64_t));
	if (growth->criterion == ML_SPLIT_ENTROPY)
	{
		search->term = ml_alloc(TERMS, sizeof(double));
		for (int c = 1; c < TERMS; c++)
			search->term[c] = c * log2(c);
	}
	ml_search_set(search, growth);
}

void
ml_search_set(MlSearch *search, const MlGrowth *growth)
{
	search->growth = growth;
	search->bounded = growth->max_step > 0 || any_monotone(search->matrix, growth);
	search->min_h = least(growth->min_child_weight, growth->h_unit);
	search->min_rows = least(growth->min_child_rows, 1);
}

void
ml_search_free(MlSearch *search)
{
	ml_free(search->list);
	ml_free(search->level);
	ml_free(search->key);
	ml_free(search->mass);
	ml_free(search->shuffle);
	ml_free(search->drawn);
	ml_free(search->place);
	ml_free(search->allowed);
	ml_free(search->best.left);
	ml_free(search->best.set);
	ml_free(search->counts);
	ml_free(search->present);
	ml_free(search->mine);
	if (search->term != NULL)
		ml_free(search->term);
}

void
ml_search_begin(MlSearch *search)
{
	search->best.gain = -INFINITY;
	search->best.feature = -1;
}

/* ---- scores ---- */

static inline double
soft(double g, double l1)
{
	return g > l1 ? g - l1 : g < -l1 ? g + l1 : 0;
}

double
ml_search_value(const MlGrowth *growth, double g, double h, double low, double high)
{
	double		value = h + growth->l2 > 0 ? -soft(g, growth->l1) / (h + growth->l2) : 0;

	if (growth->max_step > 0)
		value = fmax(-growth->max_step, fmin(growth->max_step, value));
	return fmax(low, fmin(high, value));
}

static inline double
score_of(const MlGrowth *growth, double g, double h)
{
	double		t = soft(g, growth->l1);

	return t * t / (h + growth->l2);
}

static inline double
score_at(const MlGrowth *growth, double g, double h, double value)
{
	return -(2 * g * value + (h + growth->l2) * value * value + 2 * growth->l1 * fabs(value));
}

static inline double
score_mass(int classes, const double *mass, double weight)
{
	double		sum = 0;

	if (weight <= 0)
		return 0;
	for (int c = 0; c < classes; c++)
		sum += mass[c] * mass[c];
	return sum / weight;
}

/* ---- sweeps ---- */

/* Whether missing values are not to be tried on this side (1: the left) of a cut with `left` weight, theirs counted. */
static inline bool
is_closed(const Sweep *sweep, const MlNode *node, int64_t left, int side)
{
	int64_t		present = node->h - sweep->missing_weight;

	left -= side ? sweep->missing_weight : 0;
	return sweep->follow && (left >= present - left) != (side == 1);
}

static inline void
sweep_gradient(const MlSearch *search, const MlNode *node, Sweep *sweep, bool bounded, bool counted)
{
	const MlGrowth *growth = search->growth;
	int			width = counted ? 3 : 2;
	double		g_unit = growth->g_unit;
	double		h_unit = growth->h_unit;
	int64_t		min_h = search->min_h;

	for (int side = 0; side <= (sweep->missing != NULL); side++)
	{
		int64_t		g0 = side ? sweep->missing[0] : 0;
		int64_t		h0 = side ? sweep->missing[1] : 0;
		int64_t		n0 = side && counted ? sweep->missing[2] : 0;
		int64_t		g = g0;
		int64_t		h = h0;
		int64_t		n = n0;

		for (int i = 0; i < sweep->k; i++)
		{
			const int64_t *cell = sweep->cells + (size_t) width * sweep->order[i];
			double		left_g;
			double		left_h;
			double		right_g;
			double		right_h;
			double		score;

			g = (sweep->single ? g0 : g) + cell[0];
			h = (sweep->single ? h0 : h) + cell[1];
			if (counted)
				n = (sweep->single ? n0 : n) + cell[2];
			if (h < min_h || node->h - h < min_h || (sweep->only >= 0 && i != sweep->only))
				continue;
			if (counted && (n < search->min_rows || (int64_t) node->rows - n < search->min_rows))
				continue;
			if (is_closed(sweep, node, h, side))
				continue;
			left_g = (double) g * g_unit;
			left_h = (double) h * h_unit;
			right_g = (double) (node->g - g) * g_unit;
			right_h = (double) (node->h - h) * h_unit;
			if (bounded)
			{
				double		left = ml_search_value(growth, left_g, left_h, node->low, node->high);
				double		right = ml_search_value(growth, right_g, right_h, node->low, node->high);

				if (sweep->sign * (right - left) < 0)
					continue;
				score = score_at(growth, left_g, left_h, left) + score_at(growth, right_g, right_h, right);
			}
			else
				score = score_of(growth, left_g, left_h) + score_of(growth, right_g, right_h);
			if (score > sweep->score)
			{
				sweep->score = score;
				sweep->at = i;
				sweep->missing_left = side;
			}
		}
	}
}

/* GINI.  present: the numbers of the classes to look at, NULL: all of them. */
static inline void
sweep_classes(const MlSearch *search, const MlNode *node, const int64_t *counts, Sweep *sweep,
			  int classes, const int *present)
{
	double	   *left = search->mass;
	double	   *right = search->mass + classes;
	int			width = search->width;
	double		min_h = (double) search->min_h;

	for (int side = 0; side <= (sweep->missing != NULL); side++)
	{
		int64_t		n = 0;
		double		weight = 0;
		double		rest;

		for (int i = -1; i < sweep->k; i++)
		{
			const int64_t *cell = i < 0 ? sweep->missing : sweep->cells + (size_t) width * sweep->order[i];
			double		score;

			if (i < 0 || sweep->single)
			{
				/* start anew from the missing values of this side, if any */
				n = side && search->counted ? sweep->missing[search->classes] : 0;
				weight = 0;
				for (int c = 0; c < classes; c++)
				{
					left[c] = side ? (double) sweep->missing[present ? present[c] : c] : 0;
					weight += left[c];
				}
			}
			if (i < 0)
				continue;
			for (int c = 0; c < classes; c++)
			{
				int			class = present ? present[c] : c;

				left[c] += (double) cell[class];
				weight += (double) cell[class];
				right[c] = (double) counts[class] - left[c];
			}
			if (search->counted)
				n += cell[search->classes];
			rest = (double) node->h - weight;
			if (weight < min_h || rest < min_h || (sweep->only >= 0 && i != sweep->only))
				continue;
			if (search->counted && (n < search->min_rows || (int64_t) node->rows - n < search->min_rows))
				continue;
			if (is_closed(sweep, node, (int64_t) weight, side))
				continue;
			score = score_mass(classes, left, weight) + score_mass(classes, right, rest);
			if (score > sweep->score)
			{
				sweep->score = score;
				sweep->at = i;
				sweep->missing_left = side;
			}
		}
	}
}

/*
 * What the score of a cut is made of.  When weight w of a class moves to the left, what that class adds on each side
 * changes and nothing else does.  All of it are whole numbers, so a score does not depend on the way to it.
 */
typedef struct Sides
{
	int64_t		weight;			/* of the left side */
	int64_t		rows;
	int64_t		left;			/* GINI: sum of squares; ENTROPY: of c log2 c */
	int64_t		right;
} Sides;

/* c log2 c, in units that the node's weight W sets: W log2 W is below 2^TERM_BITS, and so are all sums. */
static inline int64_t
term_of(const MlSearch *search, int64_t c)
{
	double		term = c < TERMS ? search->term[c] : (double) c * log2((double) c);

	return (int64_t) (term * search->term_scale + 0.5);
}

static void
scale_terms(MlSearch *search, int64_t weight)
{
	int			exponent;

	if (search->term_weight == weight)
		return;
	search->term_weight = weight;
	frexp(weight > 1 ? (double) weight * log2((double) weight) : 1, &exponent);
	search->term_scale = ldexp(1, TERM_BITS - exponent);
}

static inline void
move_left(const MlSearch *search, bool gini, const int64_t *counts, int class, int64_t w, Sides *sides)
{
	int64_t		mine = search->mine[class];
	int64_t		others = counts[class] - mine;

	if (gini)
	{
		sides->left += w * (2 * mine + w);
		sides->right -= w * (2 * others - w);
	}
	else
	{
		sides->left += term_of(search, mine + w) - term_of(search, mine);
		sides->right += term_of(search, others - w) - term_of(search, others);
	}
	search->mine[class] = mine + w;
	sides->weight += w;
}

/* Keeps the cut at bin i if it is the best of the sweep. */
static inline void
try_sides(const MlSearch *search, bool gini, const MlNode *node, const Sides *sides, int side, int i, Sweep *sweep)
{
	int64_t		rest = node->h - sides->weight;
	double		score;

	if (sides->weight < search->min_h || rest < search->min_h || (sweep->only >= 0 && i != sweep->only))
		return;
	if (search->counted && (sides->rows < search->min_rows || (int64_t) node->rows - sides->rows < search->min_rows))
		return;
	if (is_closed(sweep, node, sides->weight, side))
		return;
	if (gini)
		score = (double) sides->left / (double) sides->weight + (double) sides->right / (double) rest;
	else
		score = (double) (sides->left - term_of(search, sides->weight) + sides->right - term_of(search, rest));
	if (score > sweep->score)
	{
		sweep->score = score;
		sweep->at = i;
		sweep->missing_left = side;
	}
}

/* The sides before any bin went left: missing values alone do, if they are to. */
static Sides
begin_sides(const MlSearch *search, const int64_t *counts, int n, int64_t own, const int64_t *missing)
{
	Sides		sides = {.right = own};

	for (int c = 0; c < n; c++)
	{
		int			class = search->present[c];

		search->mine[class] = 0;
		if (missing != NULL && missing[class] != 0)
			move_left(search, false, counts, class, missing[class], &sides);
	}
	sides.rows = missing != NULL && search->counted ? missing[search->classes] : 0;
	return sides;
}

/* ENTROPY.  The node has n classes, those in search->present, whose terms add up to `own`. */
static void
sweep_entropy(const MlSearch *search, const MlNode *node, const int64_t *counts, int n, int64_t own, Sweep *sweep)
{
	for (int side = 0; side <= (sweep->missing != NULL); side++)
	{
		const int64_t *missing = side ? sweep->missing : NULL;
		Sides		sides = begin_sides(search, counts, n, own, missing);

		for (int i = 0; i < sweep->k; i++)
		{
			const int64_t *cell = sweep->cells + (size_t) search->width * sweep->order[i];

			if (sweep->single && i > 0)
				sides = begin_sides(search, counts, n, own, missing);
			for (int c = 0; c < n; c++)
				if (cell[search->present[c]] != 0)
					move_left(search, false, counts, search->present[c], cell[search->present[c]], &sides);
			if (search->counted)
				sides.rows += cell[search->classes];
			try_sides(search, false, node, &sides, side, i, sweep);
		}
	}
	for (int c = 0; c < n; c++)
		search->mine[search->present[c]] = 0;
}

/* Row by row. */
static inline void
sweep_rows(const MlSearch *search, bool gini, const MlNode *node, const int64_t *counts, Sweep *sweep)
{
	int			n = sweep->end[sweep->k - 1];
	int			all = n + sweep->nmissing;

	sweep->score = -INFINITY;
	sweep->at = -1;
	for (int side = 0; side <= (sweep->nmissing > 0); side++)
	{
		Sides		sides = {.right = search->own};
		int			at = side ? n : 0;
		int			before = side ? sweep->nmissing : 0;

		/* -1: the missing values of this side, if any */
		for (int i = side ? -1 : 0; i < sweep->k; i++)
		{
			int			end = i < 0 ? all : sweep->end[i];

			for (; at < end; at++)
				move_left(search, gini, counts, sweep->rows[at].g, sweep->rows[at].h, &sides);
			if (i < 0)
			{
				at = 0;
				continue;
			}
			sides.rows = end + before;
			try_sides(search, gini, node, &sides, side, i, sweep);
		}
		for (int a = 0; a < all; a++)
			search->mine[sweep->rows[a].g] = 0;
	}
}

/* The node's own score; brings that of the sweep, too, from units of terms to those of weight. */
static double
entropy_score(const MlSearch *search, int classes, int64_t own, Sweep *sweep)
{
	double		unit = search->growth->h_unit / search->term_scale;

	sweep->score *= unit;
	sweep->noise = (classes + 2) * unit;
	return (double) (own - term_of(search, search->term_weight)) * unit;
}

static double
run_entropy(MlSearch *search, const MlNode *node, const int64_t *counts, int n, Sweep *sweep)
{
	int64_t		own = 0;

	scale_terms(search, node->h);
	for (int c = 0; c < n; c++)
		own += term_of(search, counts[search->present[c]]);
	sweep_entropy(search, node, counts, n, own, sweep);
	return entropy_score(search, n, own, sweep);
}

/* Score of the node itself, and of the best cut of a sweep, in units of weight. */
static double
run_sweep(MlSearch *search, const MlNode *node, const int64_t *counts, Sweep *sweep)
{
	const MlGrowth *growth = search->growth;
	double		g = (double) node->g * growth->g_unit;
	double		h = (double) node->h * growth->h_unit;

	sweep->score = -INFINITY;
	sweep->at = -1;
	if (search->classes > 0)
	{
		double		own;
		int			n = 0;

		for (int c = 0; c < search->classes; c++)
			if (counts[c] > 0)
			{
				search->mass[n] = (double) counts[c];
				search->present[n++] = c;
			}
		if (growth->criterion == ML_SPLIT_ENTROPY)
			return run_entropy(search, node, counts, n, sweep);
		own = score_mass(n, search->mass, (double) node->h);
		if (search->classes == 2)
			sweep_classes(search, node, counts, sweep, 2, NULL);
		else
			sweep_classes(search, node, counts, sweep, n, search->present);
		sweep->score *= growth->h_unit;
		return own * growth->h_unit;
	}
	if (search->bounded)
	{
		if (search->counted)
			sweep_gradient(search, node, sweep, true, true);
		else
			sweep_gradient(search, node, sweep, true, false);
		return score_at(growth, g, h, ml_search_value(growth, g, h, node->low, node->high));
	}
	if (search->counted)
		sweep_gradient(search, node, sweep, false, true);
	else
		sweep_gradient(search, node, sweep, false, false);
	return score_of(growth, g, h);
}

/* ---- columns ---- */

int
ml_search_list(MlSearch *search, int bins, const int64_t *cells)
{
	int		   *list = search->list;
	int			width = search->width;
	int			k = 0;

	for (int b = 0; b < bins; b++)
	{
		int64_t		any = 0;

		list[k] = b;
		for (int i = 0; i < width; i++)
			any |= cells[(size_t) b * width + i];
		k += any != 0;
	}
	return k;
}

/* The smallest, or largest, value of a bin; about its middle when that is not known. */
static double
value_in(const MlBins *bins, int bin, bool largest)
{
	if (bins->least != NULL)
		return largest ? bins->most[bin] : bins->least[bin];
	if (bin == 0)
		return bins->low;
	return bin == bins->n - 1 ? bins->high : bins->cut[bin - 1] / 2 + bins->cut[bin] / 2;
}

/*
 * Draws a threshold between the node's lowest and highest values: bins below the result go left.  It stays as it was drawn
 * when it falls between two bins' values, and becomes the nearer end of a bin when it falls among those of one.
 */
static int
random_boundary(const MlBins *bins, int low, int high, uint64_t hash, double *threshold)
{
	double		u = (double) (hash >> 11) * 0x1p-53;
	double		t = value_in(bins, low, false) * (1 - u) + value_in(bins, high, true) * u;
	int			a = low;		/* the bin that holds t lies in [a, b] */
	int			b = high;

	while (a < b)
	{
		int			mid = (a + b) / 2;

		if (t < bins->cut[mid])
			b = mid;
		else
			a = mid + 1;
	}
	*threshold = t;
	if (bins->least != NULL && a > low && t <= bins->least[a])
		return a;
	if (bins->least != NULL && a < high && t > bins->most[a])
		return a + 1;
	if (a == low || (a < high && bins->cut[a] - t < t - bins->cut[a - 1]))
		a++;
	if (a > high)
		a = high;
	*threshold = bins->cut[a - 1];
	return a;
}

/*
 * Whether a column is taken rather than another that gains the same.  In small nodes that is
 * usual, and trees that then all take the first column are more alike than they need be.
 */
static bool
wins_tie(const MlGrowth *growth, const MlNode *node, int feature, int other)
{
	uint64_t	path = node->path ^ 0x746965u;

	if (growth->random_ties && feature != other)
		return ml_grow_hash(path, feature) < ml_grow_hash(path, other);
	return feature < other;
}

/* The sums of what goes left; returns whether there are missing values, which the sweep has put on a side. */
static bool
sum_left(const MlSearch *search, const Sweep *sweep, int64_t *left)
{
	int			width = search->width;

	memset(left, 0, sizeof(int64_t) * width);
	if (sweep->rows == NULL)
	{
		for (int i = sweep->single ? sweep->at : 0; i <= sweep->at; i++)
			for (int q = 0; q < width; q++)
				left[q] += sweep->cells[(size_t) width * sweep->order[i] + q];
		for (int q = 0; q < width && sweep->missing != NULL && sweep->missing_left; q++)
			left[q] += sweep->missing[q];
		return sweep->missing != NULL;
	}
	for (int side = 0; side <= (sweep->nmissing > 0 && sweep->missing_left); side++)
	{
		int			from = side ? sweep->end[sweep->k - 1] : 0;
		int			to = side ? from + sweep->nmissing : sweep->end[sweep->at];

		for (int a = from; a < to; a++)
			left[sweep->rows[a].g] += sweep->rows[a].h;
		if (search->counted)
			left[width - 1] += to - from;
	}
	return sweep->nmissing > 0;
}

/* Keeps the best cut of a sweep if it is the best of all. */
static void
keep(MlSearch *search, const MlNode *node, const Sweep *sweep, double own, int feature)
{
	const MlBins *bins = search->matrix->bins + feature;
	MlSplit    *best = &search->best;
	double		gain = sweep->score - own;
	int64_t		weight = 0;

	if (sweep->at < 0)
		return;
	if (fabs(gain) <= sweep->noise + ROUNDING * (fabs(sweep->score) + fabs(own)))
		gain = 0;
	if (gain < best->gain || (gain == best->gain && !wins_tie(search->growth, node, feature, best->feature)))
		return;
	best->gain = gain;
	best->feature = feature;
	if (sum_left(search, sweep, best->left))
		best->missing_left = sweep->missing_left;
	else
	{
		if (search->classes == 0)
			weight = best->left[1];
		for (int c = 0; c < search->classes; c++)
			weight += best->left[c];
		best->missing_left = weight >= node->h - weight;
	}
	if (bins->levels == 0)
	{
		best->bin = sweep->boundary > 0 ? sweep->boundary - 1 : sweep->order[sweep->at];
		best->next = sweep->boundary > 0 ? sweep->boundary : sweep->at + 1 < sweep->k ? sweep->order[sweep->at + 1] : bins->n;
		best->threshold = sweep->boundary > 0 ? sweep->threshold : NAN;
		return;
	}
	/* without a row here a level goes with missing values */
	memset(best->set, best->missing_left ? 0xff : 0, sizeof(uint32_t) * search->words);
	for (int i = 0; i < sweep->k; i++)
	{
		int			level = sweep->order[i];
		uint32_t	bit = (uint32_t) 1 << (level % 32);

		if (sweep->single ? i == sweep->at : i <= sweep->at)
			best->set[level / 32] |= bit;
		else
			best->set[level / 32] &= ~bit;
	}
}

/* Sorts levels by key, then number (Shell's sort; there are few). */
static void
sort_levels(int k, int *level, const double *key)
{
	for (int gap = k / 2; gap > 0; gap /= 2)
		for (int i = gap; i < k; i++)
		{
			int			moved = level[i];
			int			j = i;

			while (j >= gap && (key[level[j - gap]] > key[moved] ||
								(key[level[j - gap]] == key[moved] && level[j - gap] > moved)))
			{
				level[j] = level[j - gap];
				j -= gap;
			}
			level[j] = moved;
		}
}

static void
order_levels(MlSearch *search, const Sweep *sweep, int class)
{
	const MlGrowth *growth = search->growth;

	for (int i = 0; i < sweep->k; i++)
	{
		const int64_t *cell = sweep->cells + (size_t) search->width * search->list[i];
		double		over = class >= 0 ? (double) cell[class] : soft((double) cell[0] * growth->g_unit, growth->l1);
		double		under = (double) cell[1] * growth->h_unit + growth->l2;

		if (class >= 0)
		{
			under = 0;
			for (int c = 0; c < search->classes; c++)
				under += (double) cell[c];
		}
		search->key[search->list[i]] = under > 0 ? over / under : 0;
		search->level[i] = search->list[i];
	}
	sort_levels(sweep->k, search->level, search->key);
}

/* Each level goes to a side by a coin of its own. */
static int
random_levels(MlSearch *search, int k, uint64_t hash)
{
	int			left = 0;
	int			right = k;

	for (int i = 0; i < k; i++)
		if (ml_grow_hash(hash, search->list[i]) & 1)
			search->level[left++] = search->list[i];
		else
			search->level[--right] = search->list[i];
	return left == 0 ? 0 : left == k && k > 1 ? k - 2 : left - 1;
}

static void
search_levels(MlSearch *search, const MlNode *node, const int64_t *counts, Sweep *sweep, int feature,
			  uint64_t hash)
{
	const MlGrowth *growth = search->growth;
	int			classes = search->classes;

	sweep->order = search->level;
	if (growth->random_cut)
	{
		sweep->only = random_levels(search, sweep->k, hash);
		keep(search, node, sweep, run_sweep(search, node, counts, sweep), feature);
		return;
	}
	if (search->matrix->bins[feature].levels <= growth->one_hot_levels ||
		node->rows < (double) growth->rows_per_level * sweep->k ||
		(growth->one_hot_above > 0 && search->matrix->bins[feature].levels > growth->one_hot_above))
	{
		sweep->single = true;
		sweep->order = search->list;
		keep(search, node, sweep, run_sweep(search, node, counts, sweep), feature);
		if (sweep->missing != NULL)
		{
			/* missing values are one more level */
			sweep->single = false;
			sweep->only = sweep->k - 1;
			keep(search, node, sweep, run_sweep(search, node, counts, sweep), feature);
		}
		return;
	}
	if (classes <= 2)
	{
		order_levels(search, sweep, classes - 1);
		keep(search, node, sweep, run_sweep(search, node, counts, sweep), feature);
		return;
	}
	/* the heaviest classes, heaviest first */
	for (int round = 0, last = -1; round < ORDERS && round < classes; round++)
	{
		int			next = -1;

		for (int c = 0; c < classes; c++)
			if (counts[c] > 0 &&
				(last < 0 || counts[c] < counts[last] || (counts[c] == counts[last] && c > last)) &&
				(next < 0 || counts[c] > counts[next]))
				next = c;
		if (next < 0)
			break;
		last = next;
		order_levels(search, sweep, next);
		keep(search, node, sweep, run_sweep(search, node, counts, sweep), feature);
	}
}

/* The one cut of a number's bins with random_cut. */
static void
cut_at_random(const MlSearch *search, const MlNode *node, int feature, Sweep *sweep)
{
	const MlBins *bins = search->matrix->bins + feature;

	sweep->only = 0;
	if (sweep->k <= 1)
		return;
	sweep->boundary = random_boundary(bins, search->list[0], search->list[sweep->k - 1], ml_grow_hash(node->path, feature),
									  &sweep->threshold);
	while (search->list[sweep->only + 1] < sweep->boundary)
		sweep->only++;
}

/*
 * Notes the weight of missing values, and whether the node is to learn their side.  With both sides of each cut to choose
 * from a column with few of them would gain by chance more than another.  False: nothing is left to be cut.
 */
static bool
weigh_missing(const MlSearch *search, const MlNodes *nodes, int i, int64_t weight, Sweep *sweep)
{
	sweep->missing_weight = weight;
	sweep->follow = (double) weight * search->growth->h_unit < search->growth->learn_missing &&
		2 * nodes->node[i].rows < nodes->node[0].rows;
	return !sweep->follow || sweep->k > 1;
}

bool
ml_search_column(MlSearch *search, const MlNodes *nodes, int i, int feature, int k, const int64_t *cells)
{
	const MlBins *bins = search->matrix->bins + feature;
	const MlNode *node = nodes->node + i;
	const int64_t *counts = ml_node_counts(nodes, i, search);
	uint64_t	hash = search->growth->random_cut ? ml_grow_hash(node->path, feature) : 0;
	Sweep		sweep = {.order = search->list, .cells = cells, .only = -1};

	if (k < 2)
		return false;
	if (search->list[k - 1] == bins->n)
		sweep.missing = cells + (size_t) search->width * search->list[--k];
	sweep.k = k;
	if (sweep.missing != NULL)
	{
		int64_t		weight = search->classes == 0 ? sweep.missing[1] : 0;

		for (int c = 0; c < search->classes; c++)
			weight += sweep.missing[c];
		if (!weigh_missing(search, nodes, i, weight, &sweep))
			return false;
	}
	if (bins->levels > 0)
	{
		search_levels(search, node, counts, &sweep, feature, hash);
		return true;
	}
	if (search->growth->monotone != NULL)
		sweep.sign = search->growth->monotone[feature];
	if (search->growth->random_cut)
		cut_at_random(search, node, feature, &sweep);
	keep(search, node, &sweep, run_sweep(search, node, counts, &sweep), feature);
	return true;
}

#define ROWS_CLASSES 8			/* of so many and fewer cells are no slower */
#define ROWS_WEIGHT 94906265	/* its square is below 2^53 */

bool
ml_search_rows_suit(MlSearch *search, const MlNodes *nodes, int i)
{
	const int64_t *counts = ml_node_counts(nodes, i, search);
	bool		gini = search->growth->criterion == ML_SPLIT_GINI;

	search->own = 0;
	if (search->classes <= ROWS_CLASSES || (gini && nodes->node[i].h > ROWS_WEIGHT))
		return false;
	if (!gini)
		scale_terms(search, nodes->node[i].h);
	for (int c = 0; c < search->classes; c++)
		search->own += gini ? counts[c] * counts[c] : term_of(search, counts[c]);
	return true;
}

bool
ml_search_rows(MlSearch *search, const MlNodes *nodes, int i, int feature, int k, const MlGradient *rows, const int *end)
{
	const MlNode *node = nodes->node + i;
	const int64_t *counts = ml_node_counts(nodes, i, search);
	Sweep		sweep = {.order = search->list, .rows = rows, .end = end, .only = -1};
	double		own;

	if (k < 2)
		return false;
	sweep.k = k;
	if (search->list[k - 1] == search->matrix->bins[feature].n)
	{
		int64_t		weight = 0;

		sweep.k = --k;
		sweep.nmissing = end[k] - end[k - 1];
		for (int a = end[k - 1]; a < end[k]; a++)
			weight += rows[a].h;
		if (!weigh_missing(search, nodes, i, weight, &sweep))
			return false;
	}
	if (search->growth->random_cut)
		cut_at_random(search, node, feature, &sweep);
	if (search->growth->criterion == ML_SPLIT_GINI)
	{
		sweep_rows(search, true, node, counts, &sweep);
		sweep.score *= search->growth->h_unit;
		own = (double) search->own / (double) node->h * search->growth->h_unit;
	}
	else
	{
		sweep_rows(search, false, node, counts, &sweep);
		own = entropy_score(search, search->classes, search->own, &sweep);
	}
	keep(search, node, &sweep, own, feature);
	return true;
}

bool
ml_search_found(const MlSearch *search)
{
	const MlSplit *best = &search->best;

	if (best->feature < 0)
		return false;
	return search->classes > 0 ? best->gain >= search->growth->gamma : best->gain > search->growth->gamma;
}
