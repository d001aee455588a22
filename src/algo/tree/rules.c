/*
 * rules.c - what a model of trees says about itself: its size, the columns that
 * count, and a single tree as if-then rules.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "walk.h"

/* ---- importance ---- */

bool
ml_trees_importance_by(const void *model, const char *method, double *share)
{
	const MlTrees *trees = model;
	bool		gain = strcmp(method, "gain") == 0;
	bool		cover = strcmp(method, "cover") == 0;
	double		greatest = 0;

	if (!gain && !cover && strcmp(method, "splits") != 0)
		return false;
	memset(share, 0, sizeof(double) * trees->p);
	/* Gains near the end of the range of doubles must not add up to infinity. */
	for (uint32_t i = 0; i < trees->nnodes && gain; i++)
		greatest = fmax(greatest, trees->gain[i]);
	for (uint32_t i = 0; i < trees->nnodes; i++)
	{
		const MlTreeNode *node = &trees->node[i];
		double	   *of = &share[node->feature & ML_NODE_FEATURE];

		if ((node->feature & ML_NODE_LEAF) != 0)
			continue;
		if (cover)
			*of += trees->cover[i];
		else if (!gain)
			*of += 1;
		else if (greatest > 0)
			*of += fmax(trees->gain[i], 0) / greatest;
	}
	return true;
}

void
ml_trees_importance(const void *model, double *share)
{
	(void) ml_trees_importance_by(model, "gain", share);
}

/* ---- rules of a single tree ---- */

#define MAX_RULES 500			/* more leaves are not for reading */

#define MAX_LISTED 50			/* categories in a rule */

/* Text that grows. */
typedef struct Text
{
	char	   *data;
	size_t		size;
	size_t		room;
} Text;

static void
append(Text *text, const char *more)
{
	size_t		n = strlen(more);

	if (text->size + n + 1 > text->room)
	{
		char	   *larger = ml_alloc(2 * (text->size + n + 1), 1);

		if (text->data != NULL)
		{
			memcpy(larger, text->data, text->size);
			ml_free(text->data);
		}
		text->data = larger;
		text->room = 2 * (text->size + n + 1);
	}
	memcpy(text->data + text->size, more, n + 1);
	text->size += n;
}

static void
append_number(Text *text, const char *format, double value)
{
	char		number[64];

	snprintf(number, sizeof(number), format, value);
	append(text, number);
}

/* What a path says of one column. */
typedef struct Condition
{
	double		low;			/* x >= low, unless -infinity */
	double		high;			/* x < high, unless infinity */
	bool		missing;		/* NULL comes here, too */
	bool		category;
	int			told_apart;		/* levels from here on all go the same way */
} Condition;

/* Whether level l of the column stays on the path that ends in `node`. */
static bool
has_level(const MlTrees *trees, const uint32_t *parent, uint32_t node, uint32_t column, int l)
{
	for (uint32_t at = node; at != trees->root[0]; at = parent[at])
	{
		uint32_t	split = parent[at];

		if ((trees->node[split].feature & ML_NODE_FEATURE) == column &&
			trees->node[split].left + ml_category_right(trees, split, l) != at)
			return false;
	}
	return true;
}

static Condition
condition_of(const MlTrees *trees, const uint32_t *parent, uint32_t node, uint32_t column)
{
	Condition	c = {-INFINITY, INFINITY, true, trees->levels[column] > 0, 0};

	for (uint32_t at = node; at != trees->root[0]; at = parent[at])
	{
		const MlTreeNode *split = &trees->node[parent[at]];
		bool		right = at != split->left;

		if ((split->feature & ML_NODE_FEATURE) != column)
			continue;
		c.missing &= right == ((split->feature & ML_NODE_MISSING_RIGHT) != 0);
		if (c.category)
		{
			double		known = 32.0 * trees->sets[trees->leaf[parent[at]]];

			if (known > c.told_apart)
				c.told_apart = known < trees->levels[column] ? (int) known : trees->levels[column];
		}
		if (right && !c.category)
			c.low = fmax(c.low, split->threshold);
		else if (!c.category)
			c.high = fmin(c.high, split->threshold);
	}
	return c;
}

/* Whether the number that is shown for a limit is the one before it: x < limit then means x <= number. */
static bool
is_just_above(double limit)
{
	char		number[64];

	snprintf(number, sizeof(number), "%.15g", limit);
	return nextafter(strtod(number, NULL), INFINITY) == limit;
}

/* "age >= 18 and < 65 (or null)", "color in (red, blue)". */
static void
append_condition(Text *text, const MlTrees *trees, MlRows *rows, const uint32_t *parent, uint32_t node, uint32_t column)
{
	Condition	c = condition_of(trees, parent, node, column);
	int			listed = 0;

	append(text, ml_row_column(rows, column));
	if (c.category)
	{
		for (int l = 0; l < trees->levels[column]; l++)
		{
			ml_check_interrupts();
			if (!has_level(trees, parent, node, column, l))
			{
				/* a model may claim millions of levels */
				if (l >= c.told_apart)
					break;
				continue;
			}
			if (++listed > MAX_LISTED)
			{
				if (l < c.told_apart)
					continue;
				listed += trees->levels[column] - 1 - l;
				break;
			}
			append(text, listed > 1 ? ", " : " in (");
			append(text, ml_row_level(rows, column, l));
		}
		if (listed > MAX_LISTED)
			append_number(text, " and %.0f more", listed - MAX_LISTED);
		append(text, listed > 0 ? ")" : " is no known category");
	}
	if (c.low > -INFINITY)
		append_number(text, is_just_above(c.low) ? " > %.15g" : " >= %.15g", c.low);
	if (c.low > -INFINITY && c.high < INFINITY)
		append(text, " and");
	if (c.high < INFINITY)
		append_number(text, is_just_above(c.high) ? " <= %.15g" : " < %.15g", c.high);
	if (c.missing)
		append(text, " (or null)");
}

/* Columns in the order of their first split on the path to node; each once. */
static void
append_path(Text *text, const MlTrees *trees, MlRows *rows, const uint32_t *parent, uint32_t node)
{
	uint32_t	path[MAX_RULES];	/* with so many leaves there is none longer */
	int			n = 0;

	for (uint32_t at = node; at != trees->root[0]; at = parent[at])
		path[n++] = trees->node[parent[at]].feature & ML_NODE_FEATURE;
	for (int i = n; i-- > 0;)
	{
		int			j = n - 1;

		while (path[j] != path[i])
			j--;
		if (j != i)
			continue;
		append(text, i == n - 1 ? "if " : " and ");
		append_condition(text, trees, rows, parent, node, path[i]);
	}
	append(text, n > 0 ? " then " : "always ");
}

/* The most likely class with its share, or the number; and of what weight of rows. */
static void
append_leaf(Text *text, const MlTrees *trees, MlRows *rows, uint32_t node)
{
	uint32_t	leaf = trees->leaf[node];
	double		first = ml_trees_value(trees, leaf, 0);
	int			best = 0;
	double		share = 0;

	if (trees->classes == 0)
		append_number(text, "%.6g", first + trees->base[0]);
	else if (trees->width == 1)
	{
		best = first > 0.5;
		share = best ? first : 1 - first;
	}
	else
		for (int k = 0; k < trees->width; k++)
			if (ml_trees_value(trees, leaf, k) > share)
				share = ml_trees_value(trees, leaf, best = k);
	if (trees->classes > 0)
	{
		append(text, ml_row_class(rows, best));
		append_number(text, " (%.4g", share);
	}
	append_number(text, trees->classes > 0 ? " of %.6g)" : " (mean of %.6g)", trees->cover[node]);
}

static void
describe_rules(const MlTrees *trees, MlRows *rows)
{
	uint32_t   *parent = ml_alloc(trees->nnodes, sizeof(uint32_t));
	char		item[32];
	int			rule = 0;

	for (uint32_t i = 0; i < trees->nnodes; i++)
		if ((trees->node[i].feature & ML_NODE_LEAF) == 0)
			parent[trees->node[i].left] = parent[trees->node[i].left + 1] = i;
	for (uint32_t i = 0; i < trees->nnodes; i++)
	{
		Text		text = {0};

		if ((trees->node[i].feature & ML_NODE_LEAF) == 0)
			continue;
		ml_check_interrupts();
		append_path(&text, trees, rows, parent, i);
		append_leaf(&text, trees, rows, i);
		snprintf(item, sizeof(item), "rule %d", ++rule);
		ml_row_text(rows, item, text.data);
		ml_free(text.data);
	}
	ml_free(parent);
}

/* ---- description ---- */

void
ml_trees_describe(const void *model, MlRows *rows)
{
	const MlTrees *trees = model;
	int			depth = 0;

	for (int t = 0; t < trees->ntrees; t++)
		depth = trees->depth[t] > depth ? trees->depth[t] : depth;
	ml_row_text(rows, "objective", trees->objective);
	ml_row_number(rows, "trees", trees->ntrees);
	if (trees->rounds > 0)
		ml_row_number(rows, "rounds", trees->rounds);
	ml_row_number(rows, "depth", depth);
	ml_row_number(rows, "leaves", trees->nleaves);
	if (trees->outputs == 1)
		ml_row_number(rows, "base", trees->base[0]);
	if (trees->ntrees != 1 || (trees->link != ML_LINK_IDENTITY && trees->link != ML_LINK_SHARES))
		return;
	if (trees->nleaves <= MAX_RULES)
		describe_rules(trees, rows);
	else
	{
		char		text[80];

		snprintf(text, sizeof(text), "not shown: more than %d, grow a smaller tree to read it", MAX_RULES);
		ml_row_text(rows, "rules", text);
	}
}
