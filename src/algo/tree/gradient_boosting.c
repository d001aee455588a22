/*
 * gradient_boosting.c - sums of trees, each fitted to the gradient of a loss at
 * the sum of those before it.
 *
 *	 minimize  sum w L(y, f(x)) + sum over trees of (gamma leaves + l1 |v|_1 + l2/2 |v|^2)
 *
 * where v are a tree's leaf values before learning_rate.  Each tree is found
 * greedily from the second order expansion of the loss (Friedman 2001, "Greedy function
 * approximation"; Chen and Guestrin 2016, "XGBoost").  README.md has the formulas.
 *
 * The rows lie in an MlMatrix, trees are grown by ml_grow; this file checks the parameters,
 * chooses where to start and puts the model together, rounds.c runs the rounds.
 */
#include "boosting.h"
#include "foreign.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define NO_ROWS_SCORE 40.0		/* log-odds of a class without rows, as logistic regression has it */
#define LEAST_MEAN 1e-12		/* for the logarithm, when every target is 0 */
#define POISSON_STEP 0.7		/* XGBoost's */
#define ROWS_PER_LEVEL 100		/* LightGBM's min_data_per_group: chance then gains a set less than 1 % of the node's squares */

static const char *const objective_names[] = {
	"auto", "squared", "absolute", "huber", "quantile", "poisson", "gamma", "tweedie", "logistic", "softmax",
	"lambdarank", NULL
};
static const char *const growth_names[] = {"depth_wise", "leaf_wise", NULL};

#define FIELD(name) offsetof(MlBoostingParams, name)

static const MlParam boosting_params[] = {
	{"objective", "what is minimised; auto: squared, logistic or softmax by the target",
	ML_PARAM_ENUM, FIELD(objective), "auto", 0, 0, objective_names},
	{"n_estimators", "rounds; of each there is a tree, with softmax one a class",
	ML_PARAM_INT, FIELD(n_estimators), "100", 1, 1000000},
	{"learning_rate", "factor on the leaves of each tree",
	ML_PARAM_REAL, FIELD(learning_rate), "0.3", 1e-6, 10},
	{"growth", "depth_wise: level by level; leaf_wise: the leaf with the greatest gain next",
	ML_PARAM_ENUM, FIELD(growth), "depth_wise", 0, 0, growth_names},
	{"max_depth", "levels of splits in a tree; 0: no limit",
	ML_PARAM_INT, FIELD(max_depth), "6", 0, 1000},
	{"max_leaves", "leaves of a tree; 0: no limit",
	ML_PARAM_INT, FIELD(max_leaves), "0", 0, 1000000},
	{"max_bin", "bins of a numeric column",
	ML_PARAM_INT, FIELD(max_bin), "256", 2, ML_MAX_BIN},
	{"one_hot_levels", "categories of at most so many levels are split one level against the rest, others as sets where a node has 100 rows a level; 0: always as sets",
	ML_PARAM_INT, FIELD(one_hot_levels), "64", 0, 1000000},
	{"min_child_weight", "least sum of curvatures in a leaf (rows, for squared loss)",
	ML_PARAM_REAL, FIELD(min_child_weight), "1", 0, 1e300},
	{"l1", "penalty on the sizes of leaf values",
	ML_PARAM_REAL, FIELD(l1), "0", 0, 1e300},
	{"l2", "penalty on the squares of leaf values",
	ML_PARAM_REAL, FIELD(l2), "1", 0, 1e300},
	{"gamma", "least gain of a split, in units of twice the objective",
	ML_PARAM_REAL, FIELD(gamma), "0", 0, 1e300},
	{"max_delta_step", "greatest leaf value; 0: no limit; unset: 0.7 for poisson, else 0",
	ML_PARAM_REAL, FIELD(max_delta_step), NULL, 0, 1e300},
	{"subsample", "share of the rows in each tree",
	ML_PARAM_REAL, FIELD(subsample), "1", 1e-6, 1},
	{"colsample", "share of the columns in each tree",
	ML_PARAM_REAL, FIELD(colsample), "1", 1e-6, 1},
	{"colsample_level", "share of a tree's columns in each of its levels",
	ML_PARAM_REAL, FIELD(colsample_level), "1", 1e-6, 1},
	{"colsample_node", "share of a level's columns at each split",
	ML_PARAM_REAL, FIELD(colsample_node), "1", 1e-6, 1},
	{"scale_pos_weight", "factor on the weights of the second class's rows (logistic)",
	ML_PARAM_REAL, FIELD(scale_pos_weight), "1", 1e-9, 1e9},
	{"base_score", "prediction before the first tree; unset: the best constant",
	ML_PARAM_REAL, FIELD(base_score), NULL, -1e300, 1e300},
	{"quantile", "share of the rows below the prediction (quantile)",
	ML_PARAM_REAL, FIELD(quantile), "0.5", 1e-6, 1 - 1e-6},
	{"huber_delta", "residual where the loss turns linear (huber); unset: their 0.9 quantile, each round",
	ML_PARAM_REAL, FIELD(huber_delta), NULL, 1e-300, 1e300},
	{"tweedie_power", "variance is mean to this power (tweedie)",
	ML_PARAM_REAL, FIELD(tweedie_power), "1.5", 1.001, 1.999},
	{"ndcg_at", "places of a ranking that count (lambdarank); 0: all",
	ML_PARAM_INT, FIELD(ndcg_at), "30", 0, 1000000000},
	{"early_stopping", "rounds without improvement, on a tenth of the training rows, to stop after; 0: off",
	ML_PARAM_INT, FIELD(early_stopping), "0", 0, 1000000},
	{"monotone", "directions in which columns move the prediction: {\"column\": 1 or -1}",
	ML_PARAM_SIGNS, FIELD(monotone), NULL},
	{"interactions", "sets of columns that may follow each other in a tree: [[\"column\", ...], ...]",
	ML_PARAM_SETS, FIELD(interactions), NULL},
	{"group", "column that says which rows are ranked together (lambdarank)",
	ML_PARAM_COLUMN, FIELD(group), NULL},
	{"continue", "model, or model@version, to which n_estimators more rounds are added; its columns and classes are used",
	ML_PARAM_MODEL, FIELD(start), NULL},
	{NULL}
};

static bool
is_class_objective(MlObjectiveKind kind)
{
	return kind == ML_OBJECTIVE_LOGISTIC || kind == ML_OBJECTIVE_SOFTMAX;
}

static void
boosting_check(const void *given, uint32_t task)
{
	const MlBoostingParams *params = given;
	MlObjectiveKind kind = (MlObjectiveKind) (params->objective - 1);
	const char *name = objective_names[params->objective];

	if (params->objective > 0 && is_class_objective(kind) != (task == ML_CLASSIFICATION))
		ml_fail_param("objective \"%s\" is for %s", name, is_class_objective(kind) ? "classification" : "regression");
	if (params->objective > 0 && kind == ML_OBJECTIVE_LAMBDARANK && params->group == NULL)
		ml_fail_param("objective \"lambdarank\" needs \"group\", the column that says which rows are ranked together");
	if (params->group != NULL && (params->objective == 0 || kind != ML_OBJECTIVE_LAMBDARANK))
		ml_fail_param("\"group\" is for objective \"lambdarank\"");
	if (!isnan(params->base_score) && params->objective > 0 &&
		(kind == ML_OBJECTIVE_POISSON || kind == ML_OBJECTIVE_GAMMA || kind == ML_OBJECTIVE_TWEEDIE) &&
		params->base_score <= 0)
		ml_fail_param("\"base_score\" must be greater than 0 for objective \"%s\"", name);
	if (!isnan(params->base_score) && task == ML_CLASSIFICATION && !(params->base_score > 0 && params->base_score < 1))
		ml_fail_param("\"base_score\" must be a probability between 0 and 1 for classification");
	if (params->start != NULL && !isnan(params->base_score))
		ml_fail_param("\"base_score\" has no effect with \"continue\"");
	if (params->max_leaves == 1)
		ml_fail_param("\"max_leaves\" must be 0 or at least 2");
	if (params->scale_pos_weight != 1 &&
		(task != ML_CLASSIFICATION || (params->objective > 0 && kind != ML_OBJECTIVE_LOGISTIC)))
		ml_fail_param("\"scale_pos_weight\" is for objective \"logistic\"");
}

/* ---- the objective ---- */

static MlTreeLink
link_of(MlObjectiveKind kind)
{
	switch (kind)
	{
		case ML_OBJECTIVE_POISSON:
		case ML_OBJECTIVE_GAMMA:
		case ML_OBJECTIVE_TWEEDIE:
			return ML_LINK_LOG;
		case ML_OBJECTIVE_LOGISTIC:
			return ML_LINK_LOGISTIC;
		case ML_OBJECTIVE_SOFTMAX:
			return ML_LINK_SOFTMAX;
		default:
			return ML_LINK_IDENTITY;
	}
}

static void
choose_objective(MlBoosting *b)
{
	const MlBoostingParams *params = b->params;
	MlObjective *o = &b->objective;
	int			classes = b->problem->classes;

	if (params->objective > 0)
		o->kind = (MlObjectiveKind) (params->objective - 1);
	else if (b->problem->task == ML_CLASSIFICATION)
		o->kind = classes == 2 ? ML_OBJECTIVE_LOGISTIC : ML_OBJECTIVE_SOFTMAX;
	else
		o->kind = ML_OBJECTIVE_SQUARED;
	if (o->kind == ML_OBJECTIVE_LOGISTIC && classes != 2)
		ml_fail_param("objective \"logistic\" is for two classes, but there are %d", classes);
	if (params->scale_pos_weight != 1 && o->kind != ML_OBJECTIVE_LOGISTIC)
		ml_fail_param("\"scale_pos_weight\" is for objective \"logistic\"");
	if (!isnan(params->base_score) && o->kind == ML_OBJECTIVE_SOFTMAX)
		ml_fail_param("\"base_score\" changes nothing with objective \"softmax\"");
	o->quantile = o->kind == ML_OBJECTIVE_QUANTILE ? params->quantile : 0.5;
	o->delta = params->huber_delta;
	o->power = params->tweedie_power;
	o->classes = classes;
	o->max_step = params->max_delta_step;
	if (isnan(o->max_step))
		o->max_step = o->kind == ML_OBJECTIVE_POISSON ? POISSON_STEP : 0;
	b->outputs = o->kind == ML_OBJECTIVE_SOFTMAX ? classes : 1;
	b->stride = o->kind == ML_OBJECTIVE_SOFTMAX ? classes + 1 : 1;
	b->pos_weight = (float) params->scale_pos_weight;
}

static void
set_growth(MlBoosting *b)
{
	const MlBoostingParams *params = b->params;

	b->growth = (MlGrowth) {
		.criterion = ML_SPLIT_GRADIENT,
		.max_depth = params->max_depth,
		.max_leaves = params->max_leaves,
		.best_first = params->growth == 1,
		.l1 = params->l1,
		.l2 = params->l2,
		.gamma = params->gamma,
		.min_child_weight = params->min_child_weight,
		.max_step = b->objective.max_step,
		.colsample_tree = params->colsample,
		.colsample_level = params->colsample_level,
		.colsample_node = params->colsample_node,
		.one_hot_levels = params->one_hot_levels,
		.rows_per_level = params->one_hot_levels > 0 ? ROWS_PER_LEVEL : 0,
		.monotone = b->problem->monotone,
		.nsets = b->problem->nsets,
		.sets = b->problem->sets,
		.seed = b->problem->seed,
		.g_unit = 1,
		.h_unit = 1,
		.packed = b->matrix->rows >= ML_PACKED_ROWS,
	};
}

/* ---- the rows before the first tree ---- */

/* What the training rows add up to, whatever their order. */
typedef struct Totals
{
	MlExactSum	weight;
	MlExactSum	target;
	MlExactSum	held;			/* weight of the rows held out */
	double	   *classes;		/* CLASSIFICATION: weight of each */
	MlExactSum *class_sums;
} Totals;

static void
check_target(const MlBoosting *b, double y)
{
	MlObjectiveKind kind = b->objective.kind;

	if (kind == ML_OBJECTIVE_GAMMA && !(y > 0))
		ml_fail_data("objective \"gamma\" needs targets greater than 0, but there is %g", y);
	if ((kind == ML_OBJECTIVE_POISSON || kind == ML_OBJECTIVE_TWEEDIE) && !(y >= 0))
		ml_fail_data("objective \"%s\" needs targets of at least 0, but there is %g",
					 objective_names[kind + 1], y);
}

static void
total_block(MlBoosting *b, const MlBlock *block, Totals *t)
{
	for (int i = 0; i < block->n; i++)
	{
		float		w = block->w ? block->w[i] : 1.0F;
		double		y = block->y[i];

		check_target(b, y);
		if (y == 1)
			w *= b->pos_weight;
		if (w > b->max_weight)
			b->max_weight = w;
		if (b->validate && !b->ranking && ml_held_out(b, block->key[i]))
		{
			ml_exact_add(&t->held, w, 1);
			continue;
		}
		if (t->class_sums)
			ml_exact_add(&t->class_sums[(int) y], w, 1);
		else
		{
			ml_exact_add(&t->weight, w, 1);
			ml_exact_add(&t->target, w, y);
		}
	}
}

static void
total_rows(MlBoosting *b, Totals *t)
{
	int			classes = b->problem->classes;

	memset(t, 0, sizeof(*t));
	if (classes > 0)
	{
		t->class_sums = ml_alloc(classes, sizeof(MlExactSum));
		t->classes = ml_alloc(classes, sizeof(double));
	}
	for (int i = 0; i < b->matrix->nblocks; i++)
		total_block(b, ml_matrix_block(b->matrix, i, false), t);
	for (int k = 0; k < classes; k++)
		t->classes[k] = ml_exact_value(&t->class_sums[k]);
	b->held_weight = ml_exact_value(&t->held);
	if (b->validate && !b->ranking && !(b->held_weight > 0))
	{
		ml_warn("early stopping is off: there are too few rows to hold out a tenth");
		b->validate = false;
		total_rows(b, t);
	}
}

static void
all_targets(void *arg, const MlBlock *block, int *cell, float *value)
{
	const MlBoosting *b = arg;

	for (int i = 0; i < block->n; i++)
	{
		cell[i] = b->validate && ml_held_out(b, block->key[i]) ? -1 : 0;
		value[i] = block->y[i];
	}
}

static double
log_of_share(double share)
{
	return share > 0 ? log(share) : -NO_ROWS_SCORE;
}

/* The base of each output, as the scores count it: targets less matrix->shift. */
static void
set_base(MlBoosting *b, const Totals *t, double *base)
{
	double		given = b->params->base_score;
	double		weight = ml_exact_value(&t->weight);

	switch (b->objective.kind)
	{
		case ML_OBJECTIVE_SQUARED:
			base[0] = isnan(given) ? ml_exact_value(&t->target) / weight : given - b->matrix->shift;
			break;
		case ML_OBJECTIVE_ABSOLUTE:
		case ML_OBJECTIVE_QUANTILE:
		case ML_OBJECTIVE_HUBER:
			base[0] = given - b->matrix->shift;
			if (isnan(given))
				ml_quantiles(b->matrix, 1, b->objective.quantile, b->max_weight, all_targets, b, base);
			break;
		case ML_OBJECTIVE_POISSON:
		case ML_OBJECTIVE_GAMMA:
		case ML_OBJECTIVE_TWEEDIE:
			base[0] = log(isnan(given) ? fmax(ml_exact_value(&t->target) / weight, LEAST_MEAN) : given);
			break;
		case ML_OBJECTIVE_LOGISTIC:
			if (!isnan(given))
				base[0] = log(given / (1 - given));
			else if (t->classes[0] > 0 && t->classes[1] > 0)
				base[0] = log(t->classes[1] / t->classes[0]);
			else
				base[0] = t->classes[1] > 0 ? NO_ROWS_SCORE : -NO_ROWS_SCORE;
			break;
		case ML_OBJECTIVE_SOFTMAX:
			weight = 0;
			for (int k = 0; k < b->outputs; k++)
				weight += t->classes[k];
			for (int k = 0; k < b->outputs; k++)
				base[k] = log_of_share(t->classes[k] / weight);
			break;
		case ML_OBJECTIVE_LAMBDARANK:
			base[0] = isnan(given) ? 0 : given - b->matrix->shift;
			break;
	}
}

static void
start_scores(MlBoosting *b, const double *base)
{
	for (int i = 0; i < b->matrix->nblocks; i++)
	{
		MlBlock    *block = ml_matrix_block(b->matrix, i, true);

		for (int r = 0; r < block->n; r++)
			for (int k = 0; k < b->outputs; k++)
				block->score[(size_t) r * b->stride + k] = base[k];
	}
}

/* The rows come in the order in which the matrix took them. */
static void
continue_scores(MlBoosting *b, MlData *data, const MlTrees *start)
{
	double	   *margin = ml_alloc(b->outputs, sizeof(double));
	MlTile		tile = {0};
	int			at = 0;

	ml_data_rewind(data);
	for (int i = 0; i < b->matrix->nblocks; i++)
	{
		MlBlock    *block = ml_matrix_block(b->matrix, i, true);

		for (int r = 0; r < block->n; r++)
		{
			if (at == tile.n)
			{
				if (!ml_data_next(data, &tile))
					ml_fail_data("the rows changed during the training");
				at = 0;
			}
			ml_trees_margin(start, tile.x + (size_t) at++ * b->problem->p, margin);
			for (int k = 0; k < b->outputs; k++)
				block->score[(size_t) r * b->stride + k] = margin[k] - b->matrix->shift;
		}
	}
}

static MlTrees *
create_model(MlBoosting *b, MlData *data)
{
	const MlTrees *start = b->problem->start;
	const char *name = objective_names[b->objective.kind + 1];
	MlTrees    *trees;
	Totals		totals;

	total_rows(b, &totals);
	if (start != NULL)
	{
		if (strcmp(start->objective, name) != 0 || start->outputs != b->outputs)
			ml_fail_param("the model to continue was trained with objective \"%s\", not \"%s\"",
						  start->objective, name);
		if (start->link != link_of(b->objective.kind) || start->width != 1 || start->average)
			ml_fail_param("the model to continue is no sum of trees whose leaves hold one number");
		trees = ml_trees_copy(start);
		continue_scores(b, data, start);
		return trees;
	}
	trees = ml_trees_create(b->problem, b->outputs, 1);
	trees->link = link_of(b->objective.kind);
	trees->objective = (char *) name;
	set_base(b, &totals, trees->base);
	start_scores(b, trees->base);
	trees->base[0] += b->matrix->shift;
	return trees;
}

/* ---- training ---- */

static void
boosting_fit(const MlProblem *problem, MlData *data, MlResult *result)
{
	MlBoosting *b = ml_alloc(1, sizeof(MlBoosting));
	const MlBoostingParams *params = problem->params;
	MlMatrixOptions options = {0};
	int			rounds = params->n_estimators;
	int			kept;

	b->problem = problem;
	b->params = params;
	choose_objective(b);
	if (problem->carry != NULL)
		rounds = (int) problem->carry[0];
	b->validate = params->early_stopping > 0 && problem->carry == NULL;
	b->held_seed = (uint32_t) ml_mix64(problem->seed, UINT64_MAX);
	options.max_bin = params->max_bin;
	options.outputs = b->stride;
	options.keep_gradient = true;
	options.shift_target = link_of(b->objective.kind) == ML_LINK_IDENTITY && b->objective.kind != ML_OBJECTIVE_LAMBDARANK;
	b->matrix = ml_matrix_build(problem, data, &options);
	b->block = ml_alloc(b->matrix->nblocks, sizeof(MlBlock *));
	b->sums = ml_alloc(b->matrix->nblocks, sizeof(MlBlockSums));
	b->wide = ml_alloc(b->outputs, sizeof(bool));
	for (int i = 0; !b->matrix->spilled && i < b->matrix->nblocks; i++)
		b->block[i] = ml_matrix_block(b->matrix, i, true);
	if (b->objective.kind == ML_OBJECTIVE_LAMBDARANK)
		b->ranking = ml_ranking_create(b->matrix, params->ndcg_at, problem, b->validate);
	b->trees = create_model(b, data);
	set_growth(b);
	b->grower = ml_grower_create(b->matrix, &b->growth);

	kept = ml_boosting_run(b, rounds, &result->stop);
	b->trees->rounds += kept;
	ml_matrix_free(b->matrix);	/* the room is wanted for the bytes of the model */
	result->model = b->trees;
	result->objective = b->loss;
	result->converged = true;
	if (params->early_stopping > 0)
	{
		result->carry = ml_alloc(1, sizeof(double));
		result->carry[0] = kept;
		result->ncarry = 1;
	}
}

const MlAlgorithm ml_algo_gradient_boosting = {
	.name = "gradient_boosting",
	.summary = "sum of trees, each fitted to what the others left over",
	.tasks = ML_REGRESSION | ML_CLASSIFICATION,
	.flags = ML_NATIVE,
	.format = ML_TREES_FORMAT,
	.params = boosting_params,
	.params_size = sizeof(MlBoostingParams),
	.check = boosting_check,
	.fit = boosting_fit,
	.predict = ml_trees_predict,
	.save = ml_trees_save,
	.load = ml_trees_load,
	.describe = ml_trees_describe,
	.explain = ml_trees_explain,
	.formula = ml_trees_formula,
	.importance = ml_trees_importance,
	.importance_by = ml_trees_importance_by,
	.formats = ml_tree_formats,
};
