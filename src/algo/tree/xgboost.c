/*
 * xgboost.c - models of XGBoost 1.7 to 3.x, JSON and UBJSON (the schema in
 * XGBoost's doc/model.schema): gbtree and dart, numbers and categories, one
 * tree a class.  Reading trusts nothing.
 *
 * XGBoost compares float32 numbers, `(float) x < t`.  A threshold here is the
 * smallest double that does not go left under that rule, so doubles take the
 * same way without being rounded first.  Of a category split the listed ones go right, and any other left.
 */
#include "document.h"
#include "foreign.h"
#include "walk.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FEATURES ((int) ML_NODE_FEATURE)
#define MAX_CLASSES 1000
#define INTERRUPT_EVERY 65536	/* categories: a model may claim millions of them */

typedef struct Objective
{
	const char *name;
	MlTreeLink	link;
	uint32_t	task;
} Objective;

static const Objective objectives[] = {
	{"binary:logistic", ML_LINK_LOGISTIC, ML_CLASSIFICATION},
	{"multi:softprob", ML_LINK_SOFTMAX, ML_CLASSIFICATION},
	{"multi:softmax", ML_LINK_SOFTMAX, ML_CLASSIFICATION},
	{"binary:logitraw", ML_LINK_IDENTITY, ML_REGRESSION},
	{"reg:logistic", ML_LINK_LOGISTIC, ML_REGRESSION},
	{"reg:squarederror", ML_LINK_IDENTITY, ML_REGRESSION},
	{"reg:linear", ML_LINK_IDENTITY, ML_REGRESSION},
	{"reg:squaredlogerror", ML_LINK_IDENTITY, ML_REGRESSION},
	{"reg:absoluteerror", ML_LINK_IDENTITY, ML_REGRESSION},
	{"reg:pseudohubererror", ML_LINK_IDENTITY, ML_REGRESSION},
	{"reg:quantileerror", ML_LINK_IDENTITY, ML_REGRESSION},
	{"reg:expectileerror", ML_LINK_IDENTITY, ML_REGRESSION},
	{"count:poisson", ML_LINK_LOG, ML_REGRESSION},
	{"reg:gamma", ML_LINK_LOG, ML_REGRESSION},
	{"reg:tweedie", ML_LINK_LOG, ML_REGRESSION},
	{"survival:cox", ML_LINK_LOG, ML_REGRESSION},
	{"survival:aft", ML_LINK_LOG, ML_REGRESSION},
	{"rank:pairwise", ML_LINK_IDENTITY, ML_REGRESSION},
	{"rank:ndcg", ML_LINK_IDENTITY, ML_REGRESSION},
	{"rank:map", ML_LINK_IDENTITY, ML_REGRESSION},
};

static bool
recognize(const char *bytes, size_t size)
{
	size_t		i = 0;

	while (i < size && strchr(" \t\r\n", bytes[i]) && bytes[i])
		i++;
	/* {"learner" or the UBJSON of an object whose first key has a 64-bit length */
	return i < size && bytes[i] == '{';
}

/* The smallest double x with (float) x >= t. */
static double
single_threshold(double number)
{
	float		t = (float) number;
	float		below = nextafterf(t, -INFINITY);
	double		middle;
	uint32_t	bits;

	if (!isfinite(t) || !isfinite(below))
		return number;
	middle = (double) below + ((double) t - (double) below) / 2;
	memcpy(&bits, &t, sizeof(bits));
	return bits & 1 ? nextafter(middle, INFINITY) : middle; /* ties round to the even one */
}

/* An array of a tree with one number a node. */
static const double *
tree_array(const MlValue *tree, const char *name, size_t n)
{
	const MlValue *array = ml_value_need(tree, name, ML_VALUE_NUMBERS);

	if (array->n != n)
		ml_malformed("\"%s\" of a tree has %zu numbers for %zu nodes", name, array->n, n);
	return array->numbers;
}

static int
node_number(double x, size_t n)
{
	if (x == -1)
		return -1;
	if (!(x >= 0 && x < (double) n) || x != floor(x))
		ml_malformed("a tree refers to node %g of %zu", x, n);
	return (int) x;
}

static void
read_categories(const MlValue *tree, MlForeignNode *node, size_t n)
{
	const MlValue *nodes = ml_value_find(tree, "categories_nodes");
	const MlValue *all;
	const double *start;
	const double *size;

	if (nodes == NULL || nodes->n == 0)
		return;
	nodes = ml_value_need(tree, "categories_nodes", ML_VALUE_NUMBERS);
	all = ml_value_need(tree, "categories", ML_VALUE_NUMBERS);
	start = tree_array(tree, "categories_segments", nodes->n);
	size = tree_array(tree, "categories_sizes", nodes->n);
	for (size_t i = 0; i < nodes->n; i++)
	{
		int			at = node_number(nodes->numbers[i], n);

		if (at < 0 || !(start[i] >= 0 && size[i] >= 0 && start[i] + size[i] <= (double) all->n))
			ml_malformed("the categories of a tree lie outside of their list");
		node[at].listed = all->numbers + (size_t) start[i];
		node[at].nlisted = (size_t) size[i];
	}
}

static void
read_tree(MlForeignTree *to, const MlValue *tree, int p, double factor)
{
	size_t		n = ml_value_need(tree, "left_children", ML_VALUE_NUMBERS)->n;
	const double *left = tree_array(tree, "left_children", n);
	const double *right = tree_array(tree, "right_children", n);
	const double *feature = tree_array(tree, "split_indices", n);
	const double *condition = tree_array(tree, "split_conditions", n);
	const double *missing_left = tree_array(tree, "default_left", n);
	const double *gain = tree_array(tree, "loss_changes", n);
	const double *cover = tree_array(tree, "sum_hessian", n);
	const double *type = ml_value_find(tree, "split_type") ? tree_array(tree, "split_type", n) : NULL;
	MlForeignNode *node;

	if (n == 0 || n > INT32_MAX)
		ml_malformed("a tree has %zu nodes", n);
	if (ml_value_find(tree, "tree_param.size_leaf_vector") && ml_value_number(tree, "tree_param.size_leaf_vector") > 1)
		ml_unsupported("trees with a vector in each leaf");
	node = ml_alloc(n, sizeof(MlForeignNode));
	for (size_t i = 0; i < n; i++)
	{
		node[i].left = node_number(left[i], n);
		node[i].cover = cover[i];
		node[i].gain = gain[i];
		if (node[i].left < 0)
		{
			node[i].value = (float) condition[i] * factor;
			continue;
		}
		node[i].right = node_number(right[i], n);
		if (!(feature[i] >= 0 && feature[i] < p))
			ml_malformed("a tree splits by feature %g of %d", feature[i], p);
		node[i].feature = (int) feature[i];
		node[i].missing_left = missing_left[i] != 0;
		node[i].category = type && type[i] == 1;
		node[i].others_left = node[i].category;
		if (!node[i].category)
			node[i].threshold = single_threshold(condition[i]);
	}
	read_categories(tree, node, n);
	to->n = (int) n;
	to->node = node;
}

/* The number before the link. */
static double
base_margin(double base, MlTreeLink link)
{
	if (!isfinite(base))
		ml_malformed("the base_score is %g", base);
	if (link == ML_LINK_LOGISTIC)
	{
		if (!(base > 0 && base < 1))
			ml_malformed("the base_score %g is not a probability", base);
		return log(base / (1 - base));
	}
	if (link == ML_LINK_LOG)
	{
		if (!(base > 0))
			ml_malformed("the base_score %g is not positive", base);
		return log(base);
	}
	return base;
}

/* "5E-1", or since 3.1 "[5E-1]" and "[5E-1,4E-1]"; a single number is for all classes. */
static void
read_base(const MlValue *model, const Objective *objective, double *base, int n)
{
	const char *text = ml_value_text(model, "learner.learner_model_param.base_score");
	const char *at = text;
	bool		list = *at == '[';
	int			given = 0;
	char	   *end;

	at += list;
	for (;; at = end + 1)
	{
		double		number = strtod(at, &end);

		if (end == at || given == n)
			ml_malformed("the base_score \"%.60s\" is not a number for each class", text);
		base[given++] = base_margin(number, objective->link);
		if (!list || *end != ',')
			break;
	}
	if (strcmp(end, list ? "]" : "") != 0 || (given != 1 && given != n))
		ml_malformed("the base_score \"%.60s\" is not a number for each class", text);
	for (int k = given; k < n; k++)
		base[k] = base[0];
}

static char *
copy_text(const char *text)
{
	char	   *copy = ml_alloc(strlen(text) + 1, 1);

	return memcpy(copy, text, strlen(text));
}

static const Objective *
find_objective(const MlValue *model)
{
	const char *name = ml_value_text(model, "learner.objective.name");

	for (size_t i = 0; i < sizeof(objectives) / sizeof(objectives[0]); i++)
		if (strcmp(objectives[i].name, name) == 0)
			return &objectives[i];
	ml_unsupported("objective \"%s\"", name);
}

/* A count kept as text or number. */
static int
count_of(const MlValue *model, const char *path, int max)
{
	double		number = ml_value_number(model, path);

	if (!(number >= 0 && number <= max) || number != floor(number))
		ml_malformed("member \"%s\" is %g, expected is a count up to %d", path, number, max);
	return (int) number;
}

static void
read_names(const MlValue *model, MlForeign *out)
{
	const MlValue *given = ml_value_find(model, "learner.feature_names");
	const char **names = ml_alloc(out->p > 0 ? out->p : 1, sizeof(char *));

	if (given && given->n == (size_t) out->p && given->type == ML_VALUE_ARRAY)
		for (int j = 0; j < out->p; j++)
		{
			if (given->items[j].type != ML_VALUE_TEXT)
				ml_malformed("name %d of the features is not a text", j);
			names[j] = given->items[j].text;
		}
	else
		for (int j = 0; j < out->p; j++)
		{
			char	   *name = ml_alloc(16, 1);

			snprintf(name, 16, "f%d", j);
			names[j] = name;
		}
	out->names = names;
}

static void
read_note(const MlValue *model, const char *objective, MlForeign *out)
{
	const MlValue *version = ml_value_find(model, "version");
	char	   *note = ml_alloc(100, 1);

	if (version && version->type == ML_VALUE_NUMBERS && version->n == 3)
		snprintf(note, 100, "XGBoost %.0f.%.0f.%.0f, %s", version->numbers[0], version->numbers[1],
				 version->numbers[2], objective);
	else
		snprintf(note, 100, "XGBoost, %s", objective);
	out->note = note;
}

/* Checks for what changes the meaning of trees, before they are read. */
static void
refuse_unknown(const MlValue *booster, const MlValue *model)
{
	const char *targets = "learner.learner_model_param.num_target";
	const char *vector = "model.gbtree_model_param.size_leaf_vector";

	if (ml_value_find(model, targets) && ml_value_number(model, targets) > 1)
		ml_unsupported("a model of several targets");
	if (ml_value_find(booster, vector) && ml_value_number(booster, vector) > 1)
		ml_unsupported("trees with a vector in each leaf");
}

/* What each tree counts, one number a tree; NULL: one.  DART has kept it in three places. */
static const MlValue *
find_weights(const MlValue *outer, const MlValue *booster)
{
	static const char *const paths[] = {"weight_drop", "model.weight_drop"};

	for (int i = 0; i < 2; i++)
		for (int inner = 0; inner < 2; inner++)
		{
			const MlValue *found = ml_value_find(inner ? booster : outer, paths[i]);

			if (found && found->n > 0)
				return ml_value_need(inner ? booster : outer, paths[i], ML_VALUE_NUMBERS);
		}
	return NULL;
}

/*
 * All trees.  With a softmax over two classes the trees of class 0 count
 * negatively, so that the sum is the log-odds of class 1.
 */
static MlTrees *
read_trees(const MlValue *outer, const MlValue *booster, const MlForeign *out, int classes)
{
	const MlValue *trees = ml_value_need(booster, "model.trees", ML_VALUE_ARRAY);
	const MlValue *info = ml_value_need(booster, "model.tree_info", ML_VALUE_NUMBERS);
	const MlValue *weights = find_weights(outer, booster);
	MlForeignTree *read;

	if (trees->n > INT32_MAX || info->n != trees->n)
		ml_malformed("the model has %zu trees, but %zu numbers that say of which class", trees->n, info->n);
	if (weights && weights->n > trees->n)
		ml_malformed("the model has %zu trees, but %zu weights of them", trees->n, weights->n);
	read = ml_alloc(trees->n > 0 ? trees->n : 1, sizeof(MlForeignTree));
	for (size_t i = 0; i < trees->n; i++)
	{
		double		factor = weights && i < weights->n ? (float) weights->numbers[i] : 1;
		double		class = info->numbers[i];

		if (!(class >= 0 && class < (classes > 1 ? classes : 1)) || class != floor(class))
			ml_malformed("tree %zu is of class %g", i, class);
		if (trees->items[i].type != ML_VALUE_OBJECT)
			ml_malformed("tree %zu is not an object", i);
		if (classes == 2)
			factor = class == 0 ? -factor : factor;
		read[i].output = out->classes > 2 ? (int) class : 0;
		read_tree(&read[i], &trees->items[i], out->p, factor);
		ml_check_interrupts();
	}
	return ml_foreign_trees(out->p, out->classes, read, (int) trees->n);
}

static void
read_xgboost(const char *bytes, size_t size, MlForeign *out)
{
	const MlValue *model;
	const MlValue *outer;
	const MlValue *booster;
	const Objective *objective;
	const char *kind;
	MlTrees    *trees;
	double	   *base;
	int			classes;

	/* The second byte of UBJSON is the type of a key's length. */
	model = size > 1 && strchr("iUIlL", bytes[1]) && bytes[1] ? ml_ubjson_parse(bytes, size) : ml_json_parse(bytes, size);
	outer = booster = ml_value_need(model, "learner.gradient_booster", ML_VALUE_OBJECT);
	kind = ml_value_text(booster, "name");
	if (strcmp(kind, "dart") == 0)
		booster = ml_value_need(booster, "gbtree", ML_VALUE_OBJECT);
	else if (strcmp(kind, "gbtree") != 0)
		ml_unsupported("booster \"%s\"", kind);
	refuse_unknown(booster, model);
	objective = find_objective(model);
	classes = count_of(model, "learner.learner_model_param.num_class", MAX_CLASSES);
	if ((objective->link == ML_LINK_SOFTMAX) != (classes > 1))
		ml_malformed("objective \"%s\" with %d classes", objective->name, classes);
	out->task = objective->task;
	out->p = count_of(model, "learner.learner_model_param.num_feature", MAX_FEATURES);
	out->classes = classes > 1 ? classes : objective->task == ML_CLASSIFICATION ? 2 : 0;
	base = ml_alloc(classes > 1 ? classes : 1, sizeof(double));
	read_base(model, objective, base, classes > 1 ? classes : 1);
	out->model = trees = read_trees(outer, booster, out, classes);
	trees->link = classes == 2 ? ML_LINK_LOGISTIC : objective->link;
	trees->objective = copy_text(objective->name);
	if (classes == 2)
		trees->base[0] = base[1] - base[0];
	else
		memcpy(trees->base, base, trees->outputs * sizeof(double));
	out->levels = trees->levels;
	read_names(model, out);
	read_note(model, objective->name, out);
}

/* ---- writing JSON ---- */

static void ML_PRINTF(2, 3)
put(MlWriter *out, const char *format,...)
{
	char		text[512];		/* longer than any piece */
	va_list		args;
	int			n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ml_write_bytes(out, text, n);
}

static void
put_text(MlWriter *out, const char *text)
{
	put(out, "\"");
	for (; *text; text++)
	{
		if (*text == '"' || *text == '\\')
			put(out, "\\%c", *text);
		else if ((unsigned char) *text < 0x20)
			put(out, "\\u%04x", (unsigned) *text);
		else
			ml_write_bytes(out, text, 1);
	}
	put(out, "\"");
}

/* What an array of a tree holds for a node. */
typedef enum NodeItem
{
	LEFT, RIGHT, PARENT, FEATURE, CONDITION, MISSING_LEFT, GAIN, COVER, WEIGHT, SPLIT_TYPE
} NodeItem;

typedef struct TreeWriter
{
	const MlTrees *trees;
	int			tree;
	uint32_t	first;
	uint32_t	n;
	double		base;			/* added to its leaves */
	double		factor;
	int		   *parent;			/* n */
	MlWriter   *out;
} TreeWriter;

/*
 * The smallest float that is not below a double, so that floats go where they
 * went; a finite one, since JSON has no other.
 */
static float
float_above(double x)
{
	float		f = fminf(fmaxf((float) x, -FLT_MAX), FLT_MAX);

	return f < x && f < FLT_MAX ? nextafterf(f, INFINITY) : f;
}

static float
leaf_value(const TreeWriter *w, uint32_t i)
{
	double		value = w->trees->value[w->trees->leaf[i]] * w->factor + w->base;

	if (fabs(value) > FLT_MAX)
		ml_unsupported("a leaf of value %g in this format", value);
	return (float) value;
}

static void
put_item(const TreeWriter *w, uint32_t i, NodeItem item)
{
	const MlTrees *t = w->trees;
	const MlTreeNode *node = &t->node[i];
	bool		leaf = node->feature & ML_NODE_LEAF;
	bool		category = node->feature & ML_NODE_CATEGORY;
	int			left = leaf ? -1 : (int) (node->left - w->first);

	switch (item)
	{
		case LEFT:
			put(w->out, "%d", left);
			break;
		case RIGHT:
			put(w->out, "%d", leaf ? -1 : left + 1);
			break;
		case PARENT:
			put(w->out, "%d", i == w->first ? 2147483647 : w->parent[i - w->first]);
			break;
		case FEATURE:
			put(w->out, "%u", leaf ? 0 : node->feature & ML_NODE_FEATURE);
			break;
		case CONDITION:
			put(w->out, "%.8E", leaf ? leaf_value(w, i) : category ? 0 : float_above(node->threshold));
			break;
		case MISSING_LEFT:
			put(w->out, "%d", !leaf && !(node->feature & ML_NODE_MISSING_RIGHT));
			break;
		case GAIN:
			put(w->out, "%.8E", fmin(t->gain[i], FLT_MAX));
			break;
		case COVER:
			put(w->out, "%.8E", t->cover[i]);
			break;
		case WEIGHT:
			put(w->out, "%.8E", leaf ? leaf_value(w, i) : 0);
			break;
		case SPLIT_TYPE:
			put(w->out, "%d", category);
			break;
	}
}

static void
put_items(const TreeWriter *w, const char *name, NodeItem item)
{
	put(w->out, "\"%s\":[", name);
	for (uint32_t i = 0; i < w->n; i++)
	{
		if (i > 0)
			put(w->out, ",");
		put_item(w, w->first + i, item);
	}
	put(w->out, "],");
}

/* Prints the categories that go right from split i, unless comma is NULL; how many they are. */
static size_t
put_set(const TreeWriter *w, uint32_t i, const char **comma)
{
	const MlTrees *t = w->trees;
	int			levels = t->levels[t->node[i].feature & ML_NODE_FEATURE];
	size_t		size = 0;

	for (int c = 0; c <= levels; c++)
	{
		if (c % INTERRUPT_EVERY == 0)
			ml_check_interrupts();
		/* An empty list is not read: one beyond all categories, where only missing values go right. */
		if (c < levels ? !ml_category_right(t, i, c) : size > 0)
			continue;
		size++;
		if (comma)
			put(w->out, "%s%d", *comma, c);
		if (comma)
			*comma = ",";
	}
	return size;
}

static void
put_categories(const TreeWriter *w)
{
	static const char *const names[] = {"categories", "categories_nodes", "categories_segments", "categories_sizes"};

	for (int what = 0; what < 4; what++)
	{
		size_t		start = 0;
		const char *comma = "";

		put(w->out, "\"%s\":[", names[what]);
		for (uint32_t i = w->first; i < w->first + w->n; i++)
		{
			uint32_t	feature = w->trees->node[i].feature;
			size_t		size;

			if (!(feature & ML_NODE_CATEGORY) || (feature & ML_NODE_LEAF))
				continue;
			size = put_set(w, i, what == 0 ? &comma : NULL);
			if (what > 0)
				put(w->out, "%s%zu", comma, what == 1 ? (size_t) (i - w->first) : what == 2 ? start : size);
			comma = ",";
			start += size;
		}
		put(w->out, "],");
	}
}

static void
put_tree(TreeWriter *w, int p)
{
	const MlTrees *t = w->trees;

	w->first = t->root[w->tree];
	w->n = (w->tree + 1 < t->ntrees ? t->root[w->tree + 1] : t->nnodes) - w->first;
	w->parent = ml_alloc(w->n, sizeof(int));
	for (uint32_t i = 0; i < w->n; i++)
	{
		const MlTreeNode *node = &t->node[w->first + i];

		if (!(node->feature & ML_NODE_LEAF))
			w->parent[node->left - w->first] = w->parent[node->left + 1 - w->first] = (int) i;
	}
	put(w->out, "{");
	put_items(w, "base_weights", WEIGHT);
	put_categories(w);
	put_items(w, "default_left", MISSING_LEFT);
	put(w->out, "\"id\":%d,", w->tree);
	put_items(w, "left_children", LEFT);
	put_items(w, "loss_changes", GAIN);
	put_items(w, "parents", PARENT);
	put_items(w, "right_children", RIGHT);
	put_items(w, "split_conditions", CONDITION);
	put_items(w, "split_indices", FEATURE);
	put_items(w, "split_type", SPLIT_TYPE);
	put_items(w, "sum_hessian", COVER);
	put(w->out, "\"tree_param\":{\"num_deleted\":\"0\",\"num_feature\":\"%d\",\"num_nodes\":\"%u\",\"size_leaf_vector\":\"0\"}}",
		p, w->n);
	ml_free(w->parent);
	ml_check_interrupts();
}

/* How XGBoost would call the model's objective, and the base_score that adds nothing. */
static const char *
foreign_objective(const MlTrees *t, const char **base_score, const char **params)
{
	*base_score = "0E0";
	*params = "\"reg_loss_param\":{\"scale_pos_weight\":\"1\"}";
	switch (t->link)
	{
		case ML_LINK_LOGISTIC:
			*base_score = "5E-1";
			return t->classes == 2 ? "binary:logistic" : "reg:logistic";
		case ML_LINK_LOG:
			*base_score = "1E0";
			if (strcmp(t->objective, "gamma") == 0 || strcmp(t->objective, "reg:gamma") == 0)
				return "reg:gamma";
			*params = "\"poisson_regression_param\":{\"max_delta_step\":\"0.7\"}";
			return "count:poisson";
		case ML_LINK_SOFTMAX:
			return "multi:softprob";
		case ML_LINK_IDENTITY:
			return "reg:squarederror";
		case ML_LINK_SHARES:
			if (t->width == 1)
				return "reg:squarederror";	/* its value is the share of class 1 */
			ml_unsupported("a forest of more than two classes in this format");
		default:
			ml_unsupported("this kind of model in this format");
	}
}

/*
 * The base goes into the leaves of the first tree of each output, where it
 * keeps its digits; as base_score it would be a rounded probability.
 */
static void
write_xgboost(const MlForeign *model, MlWriter *out)
{
	const MlTrees *t = model->model;
	const char *base_score;
	const char *params;
	const char *objective = foreign_objective(t, &base_score, &params);
	bool	   *based = ml_alloc(t->outputs, sizeof(bool));

	put(out, "{\"learner\":{\"attributes\":{");
	if (model->note)
	{
		put(out, "\"ml_ext\":");
		put_text(out, model->note);
	}
	put(out, "},\"feature_names\":[");
	for (int j = 0; j < model->p; j++)
	{
		put(out, j > 0 ? "," : "");
		put_text(out, model->names[j]);
	}
	put(out, "],\"feature_types\":[");
	for (int j = 0; j < model->p; j++)
		put(out, "%s\"%s\"", j > 0 ? "," : "", t->levels[j] > 0 ? "c" : "float");
	put(out, "],\"gradient_booster\":{\"model\":{\"gbtree_model_param\":{\"num_parallel_tree\":\"1\",\"num_trees\":\"%d\",\"size_leaf_vector\":\"0\"},\"tree_info\":[",
		t->ntrees);
	for (int i = 0; i < t->ntrees; i++)
		put(out, "%s%d", i > 0 ? "," : "", t->output[i]);
	put(out, "],\"trees\":[");
	for (int i = 0; i < t->ntrees; i++)
	{
		TreeWriter	w = {.trees = t, .tree = i, .out = out};

		w.factor = t->average ? 1.0 / t->ntrees : 1;
		w.base = based[t->output[i]] ? 0 : t->base[t->output[i]];
		based[t->output[i]] = true;
		put(out, i > 0 ? "," : "");
		put_tree(&w, model->p);
	}
	for (int k = 0; k < t->outputs; k++)
		if (!based[k] && t->base[k] != 0)
			ml_unsupported("a class without a tree in this format");
	put(out, "]},\"name\":\"gbtree\"},\"learner_model_param\":{\"base_score\":\"%s\",\"boost_from_average\":\"1\",\"num_class\":\"%d\",\"num_feature\":\"%d\",\"num_target\":\"1\"},",
		base_score, t->outputs > 1 ? t->outputs : 0, model->p);
	if (t->link == ML_LINK_SOFTMAX)
		put(out, "\"objective\":{\"name\":\"%s\",\"softmax_multiclass_param\":{\"num_class\":\"%d\"}}", objective, t->outputs);
	else
		put(out, "\"objective\":{\"name\":\"%s\",%s}", objective, params);
	put(out, "},\"version\":[1,7,0]}");
	ml_free(based);
}

const MlFormat ml_format_xgboost = {
	.name = "xgboost",
	.recognize = recognize,
	.read = read_xgboost,
	.write = write_xgboost,
};
