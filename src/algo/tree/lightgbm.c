/*
 * lightgbm.c - reading the text models of LightGBM 2 to 4 (Booster.save_model).
 * Reading trusts nothing.
 *
 * A text is a list of name=value lines: a header, then a section a tree.
 * LightGBM sends x <= t left, with tiny numbers taken for 0; the threshold here is the next
 * double above t.
 * Of a category split the listed ones go left, all others and missing ones right.
 */
#include "foreign.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FEATURES ((int) ML_NODE_FEATURE)
#define MAX_CLASSES 1000
#define MAX_LINES 64			/* of a section */

#define DECISION_CATEGORY 1
#define DECISION_DEFAULT_LEFT 2
#define MISSING_TYPE(decision) ((decision) >> 2 & 3)
#define MISSING_NONE 0			/* a missing number is taken for 0 */
#define MISSING_ZERO 1			/* and 0 for a missing one */
#define ZERO 1e-35f				/* numbers no larger are taken for 0 */

/* Lines of the header or of a tree, as they lie in the input. */
typedef struct Section
{
	int			n;
	const char *name[MAX_LINES];
	int			name_length[MAX_LINES];
	const char *value[MAX_LINES];
	size_t		length[MAX_LINES];
} Section;

typedef struct Text
{
	const char *at;
	const char *end;
} Text;

static bool
recognize(const char *bytes, size_t size)
{
	return size > 5 && memcmp(bytes, "tree", 4) == 0 && (bytes[4] == '\n' || bytes[4] == '\r');
}

static bool
next_line(Text *text, const char **line, size_t *length)
{
	const char *newline;

	if (text->at >= text->end)
		return false;
	newline = memchr(text->at, '\n', text->end - text->at);
	if (newline == NULL)
		newline = text->end;
	*line = text->at;
	*length = newline - text->at;
	if (*length > 0 && (*line)[*length - 1] == '\r')
		(*length)--;
	text->at = newline + 1;
	return true;
}

/* Lines up to an empty one, which all sections of a model have behind them; false at the end of the trees. */
static bool
read_section(Text *text, Section *s)
{
	const char *line;
	size_t		length;

	s->n = 0;
	while (next_line(text, &line, &length))
	{
		const char *equals = memchr(line, '=', length);

		if (length == 0)
		{
			if (s->n > 0)
				return true;
			continue;
		}
		if (length == 12 && memcmp(line, "end of trees", 12) == 0)
			return s->n > 0;
		if (s->n == MAX_LINES)
			ml_malformed("a section of the model has more than %d lines", MAX_LINES);
		s->name[s->n] = line;
		s->name_length[s->n] = (int) (equals ? equals - line : (ptrdiff_t) length);
		s->value[s->n] = equals ? equals + 1 : line + length;
		s->length[s->n] = equals ? length - (equals + 1 - line) : 0;
		s->n++;
	}
	if (s->n > 0)
		ml_malformed("the model ends within a section");
	return false;
}

static int
find(const Section *s, const char *name)
{
	for (int i = 0; i < s->n; i++)
		if (s->name_length[i] == (int) strlen(name) && memcmp(s->name[i], name, s->name_length[i]) == 0)
			return i;
	return -1;
}

static int
need(const Section *s, const char *name)
{
	int			i = find(s, name);

	if (i < 0)
		ml_malformed("the model has no line \"%s=\" where one is expected", name);
	return i;
}

/* n numbers separated by spaces; NULL when the line is not there and need not be. */
static double *
numbers(const Section *s, const char *name, int n, bool needed)
{
	int			line = needed ? need(s, name) : find(s, name);
	double	   *out;
	const char *at;
	const char *end;

	if (line < 0)
		return NULL;
	at = s->value[line];
	end = at + s->length[line];
	if ((size_t) n > s->length[line])
		ml_malformed("line \"%s=\" has fewer than %d numbers", name, n);
	out = ml_alloc(n > 0 ? n : 1, sizeof(double));
	for (int i = 0; i < n; i++)
	{
		char		word[64];
		char	   *stop;
		size_t		length = 0;

		while (at < end && *at == ' ')
			at++;
		while (at + length < end && at[length] != ' ' && length < sizeof(word) - 1)
			length++;
		memcpy(word, at, length);
		word[length] = '\0';
		out[i] = strtod(word, &stop);
		if (length == 0 || *stop != '\0')
			ml_malformed("number %d of line \"%s=\" is \"%s\"", i, name, word);
		at += length;
	}
	return out;
}

static int
count_of(const Section *s, const char *name, int max)
{
	double		number = *numbers(s, name, 1, true);

	if (!(number >= 0 && number <= max) || number != floor(number))
		ml_malformed("line \"%s=\" is %g, expected is a count up to %d", name, number, max);
	return (int) number;
}

/* ---- the header ---- */

typedef struct Header
{
	MlTreeLink	link;
	double		factor;			/* of the sum before the link */
	int			per_round;		/* trees of a round: one a class */
	bool		average;
	int			trees;			/* -1: not said */
} Header;

static int
count_words(const char *text, size_t length)
{
	int			n = 0;

	for (size_t i = 0; i < length; i++)
		n += text[i] != ' ' && (i == 0 || text[i - 1] == ' ');
	return n;
}

static char *
copy_text(const char *bytes, size_t length)
{
	char	   *text = ml_alloc(length + 1, 1);

	memcpy(text, bytes, length);
	if (memchr(text, '\0', length))
		ml_malformed("a name holds a zero byte");
	return text;
}

static void
read_objective(const char *text, Header *h, MlForeign *out)
{
	static const char *const identity[] = {"regression", "regression_l1", "huber", "fair", "quantile", "mape",
	"lambdarank", "rank_xendcg", "custom", NULL};
	static const char *const exponential[] = {"poisson", "gamma", "tweedie", NULL};
	size_t		length = strcspn(text, " ");
	const char *sigmoid = strstr(text, "sigmoid:");

	h->factor = 1;
	h->link = ML_LINK_IDENTITY;
	out->task = ML_REGRESSION;
	if (strstr(text, " sqrt"))
		ml_unsupported("objective \"%s\"", text);
	for (int i = 0; identity[i]; i++)
		if (strlen(identity[i]) == length && memcmp(text, identity[i], length) == 0)
			return;
	for (int i = 0; exponential[i]; i++)
		if (strlen(exponential[i]) == length && memcmp(text, exponential[i], length) == 0)
		{
			h->link = ML_LINK_LOG;
			return;
		}
	if (length == 13 && memcmp(text, "cross_entropy", length) == 0)
	{
		h->link = ML_LINK_LOGISTIC;
		return;
	}
	out->task = ML_CLASSIFICATION;
	if (length == 6 && memcmp(text, "binary", length) == 0)
	{
		out->classes = 2;
		h->link = ML_LINK_LOGISTIC;
		if (sigmoid)
			h->factor = strtod(sigmoid + strlen("sigmoid:"), NULL);
		if (!(h->factor > 0 && isfinite(h->factor)))
			ml_malformed("objective \"%s\"", text);
		return;
	}
	if (length == 10 && memcmp(text, "multiclass", length) == 0)
	{
		out->classes = h->per_round;
		h->link = ML_LINK_SOFTMAX;
		return;
	}
	ml_unsupported("objective \"%s\"", text);
}

static void
read_names(const Section *s, MlForeign *out)
{
	int			line = need(s, "feature_names");
	const char *at = s->value[line];
	const char *end = at + s->length[line];
	const char **names = ml_alloc(out->p, sizeof(char *));

	if ((size_t) out->p > s->length[line])
		ml_malformed("line \"feature_names=\" has fewer than %d names", out->p);
	for (int j = 0; j < out->p; j++)
	{
		size_t		length = 0;

		while (at < end && *at == ' ')
			at++;
		while (at + length < end && at[length] != ' ')
			length++;
		if (length == 0)
			ml_malformed("line \"feature_names=\" has fewer than %d names", out->p);
		names[j] = copy_text(at, length);
		at += length;
	}
	out->names = names;
}

static char *
read_header(const Section *s, Header *h, MlForeign *out)
{
	int			objective = find(s, "objective");
	int			version = find(s, "version");
	int			sizes = find(s, "tree_sizes");
	char	   *text;
	char	   *note = ml_alloc(120, 1);

	memset(h, 0, sizeof(*h));
	h->per_round = count_of(s, "num_tree_per_iteration", MAX_CLASSES);
	if (h->per_round == 0)
		ml_malformed("line \"num_tree_per_iteration=\" is 0");
	h->trees = sizes < 0 ? -1 : count_words(s->value[sizes], s->length[sizes]);
	h->average = find(s, "average_output") >= 0;
	out->p = 1 + count_of(s, "max_feature_idx", MAX_FEATURES - 1);
	text = objective < 0 ? copy_text("custom", 6) : copy_text(s->value[objective], s->length[objective]);
	read_objective(text, h, out);
	if (h->per_round > 1 && h->link != ML_LINK_SOFTMAX)
		ml_unsupported("objective \"%s\" with %d trees a round", text, h->per_round);
	if (h->link == ML_LINK_SOFTMAX && h->per_round < 2)
		ml_malformed("objective \"%s\" with %d trees a round", text, h->per_round);
	read_names(s, out);
	snprintf(note, 120, "LightGBM %.10s, %.80s",
			 version < 0 ? "" : copy_text(s->value[version], s->length[version]), text);
	out->note = note;
	text[strcspn(text, " ")] = '\0';
	return text;
}

/* ---- trees ---- */

/* The categories in a bitset of a tree. */
static double *
listed_categories(const double *words, int from, int to, size_t *n)
{
	double	   *out = ml_alloc((size_t) (to - from) * 32 + 1, sizeof(double));

	*n = 0;
	for (int w = from; w < to; w++)
	{
		uint32_t	bits;

		if (!(words[w] >= 0 && words[w] <= UINT32_MAX))
			ml_malformed("a set of categories holds %g", words[w]);
		bits = (uint32_t) words[w];
		for (int b = 0; b < 32; b++)
			if (bits >> b & 1)
				out[(*n)++] = (double) (w - from) * 32 + b;
	}
	return out;
}

/* A child: >= 0 a split, < 0 the leaf of that complement. */
static int
child(double number, int leaves)
{
	int			c;

	if (!(number >= -leaves && number < leaves - 1) || number != floor(number))
		ml_malformed("a tree of %d leaves has child %g", leaves, number);
	c = (int) number;
	return c >= 0 ? c : leaves - 1 + (-c - 1);
}

static void
read_split(MlForeignNode *node, double threshold, int decision)
{
	node->missing_left = (decision & DECISION_DEFAULT_LEFT) != 0;
	if (!isfinite(threshold))
		threshold = threshold > 0 ? 1.7976931348623157e308 : -1.7976931348623157e308;
	if (MISSING_TYPE(decision) == MISSING_NONE)
		node->missing_left = 0 <= threshold;
	if (MISSING_TYPE(decision) == MISSING_ZERO && node->missing_left != (0 <= threshold))
		ml_unsupported("a model that takes zeros for missing values (zero_as_missing)");
	if (fabs(threshold) <= ZERO)
		node->threshold = threshold < 0 ? -ZERO : nextafter(ZERO, INFINITY);
	else
		node->threshold = nextafter(threshold, INFINITY);
	if (isinf(node->threshold))
		node->threshold = threshold;
}

static void
read_tree(MlForeignTree *to, const Section *s, int p, double factor)
{
	int			leaves = count_of(s, "num_leaves", 1 << 24);
	int			splits = leaves - 1;
	int			sets = find(s, "num_cat") < 0 ? 0 : count_of(s, "num_cat", 1 << 24);
	MlForeignNode *node;
	double	   *value;
	double	   *count = numbers(s, "leaf_count", leaves, false);
	double	   *boundary = NULL;
	double	   *words = NULL;

	if (leaves < 1)
		ml_malformed("a tree without leaves");
	if (find(s, "is_linear") >= 0 && count_of(s, "is_linear", 1) == 1)
		ml_unsupported("trees with linear models in their leaves");
	value = numbers(s, "leaf_value", leaves, true);
	node = ml_alloc((size_t) leaves + splits, sizeof(MlForeignNode));
	for (int i = 0; i < leaves; i++)
	{
		node[splits + i].left = -1;
		node[splits + i].value = value[i] * factor;
		node[splits + i].cover = count ? count[i] : 0;
	}
	if (splits > 0)
	{
		double	   *feature = numbers(s, "split_feature", splits, true);
		double	   *threshold = numbers(s, "threshold", splits, true);
		double	   *decision = numbers(s, "decision_type", splits, true);
		double	   *left = numbers(s, "left_child", splits, true);
		double	   *right = numbers(s, "right_child", splits, true);
		double	   *gain = numbers(s, "split_gain", splits, false);
		double	   *weight = numbers(s, "internal_count", splits, false);

		if (sets > 0)
		{
			boundary = numbers(s, "cat_boundaries", sets + 1, true);
			for (int i = 0; i < sets; i++)
				if (!(boundary[i] >= 0 && boundary[i] <= boundary[i + 1] && boundary[i + 1] < 1 << 24))
					ml_malformed("the sets of categories of a tree are not in order");
			words = numbers(s, "cat_threshold", (int) boundary[sets], true);
		}
		for (int i = 0; i < splits; i++)
		{
			int			kind;

			if (!(decision[i] >= 0 && decision[i] < 16))
				ml_malformed("a split of decision type %g", decision[i]);
			kind = (int) decision[i];
			if (!(feature[i] >= 0 && feature[i] < p))
				ml_malformed("a tree splits by feature %g of %d", feature[i], p);
			node[i].left = child(left[i], leaves);
			node[i].right = child(right[i], leaves);
			node[i].feature = (int) feature[i];
			node[i].gain = gain ? gain[i] : 0;
			node[i].cover = weight ? weight[i] : 0;
			if (kind & DECISION_CATEGORY)
			{
				int			set;

				if (!(threshold[i] >= 0 && threshold[i] < sets))
					ml_malformed("a split by set %g of %d", threshold[i], sets);
				set = (int) threshold[i];
				node[i].category = true;
				node[i].listed = listed_categories(words, (int) boundary[set], (int) boundary[set + 1], &node[i].nlisted);
			}
			else
				read_split(&node[i], threshold[i], kind);
		}
	}
	to->n = leaves + splits;
	to->node = node;
}

static void
read_lightgbm(const char *bytes, size_t size, MlForeign *out)
{
	Text		text = {bytes, bytes + size};
	Section    *s = ml_alloc(1, sizeof(Section));
	Header		h;
	MlForeignTree *tree = NULL;
	MlTrees    *result;
	char	   *objective;
	double		factor;
	int			room = 0;
	int			n = 0;

	if (!read_section(&text, s))
		ml_malformed("the model has no header");
	objective = read_header(s, &h, out);
	/* the leaves' values hold the learning rate and the average of the target already */
	while (read_section(&text, s) && find(s, "Tree") >= 0)
	{
		if (n == room)
		{
			MlForeignTree *more = ml_alloc(room > 0 ? 2 * room : 128, sizeof(MlForeignTree));

			if (n > 0)
				memcpy(more, tree, n * sizeof(MlForeignTree));
			if (tree)
				ml_free(tree);
			tree = more;
			room = room > 0 ? 2 * room : 128;
		}
		/* a softmax over two classes: the log-odds of class 1 are the difference of the sums */
		tree[n].output = out->classes > 2 ? n % h.per_round : 0;
		factor = h.per_round == 2 && n % 2 == 0 ? -h.factor : h.factor;
		read_tree(&tree[n++], s, out->p, factor);
	}
	if (h.trees >= 0 && n != h.trees)
		ml_malformed("the model has %d trees, but was written with %d", n, h.trees);
	if (n % h.per_round != 0)
		ml_malformed("%d trees are not a whole number of rounds of %d", n, h.per_round);
	out->model = result = ml_foreign_trees(out->p, out->classes, tree, n);
	result->link = h.link == ML_LINK_SOFTMAX && out->classes == 2 ? ML_LINK_LOGISTIC : h.link;
	result->objective = objective;
	for (uint32_t i = 0; h.average && n > 0 && i < result->nleaves; i++)
		result->value[i] /= n / h.per_round;
	out->levels = result->levels;
}

const MlFormat ml_format_lightgbm = {
	.name = "lightgbm",
	.recognize = recognize,
	.read = read_lightgbm,
};
