/*
 * rival.c - a champion measured on the rows that a new training holds out.
 *
 * Its predictions are made as the rows come by and kept beside them, so that both
 * models meet the same rows of one snapshot, whatever the split is by.  The
 * variance of the difference is eval/paired.c's.  A row is a cluster of its own unless the
 * training was told which rows belong together.  All lives in the training's context.
 */
#include "train/rival.h"

#include <math.h>

#include "utils/float.h"
#include "utils/hsearch.h"

#include "eval/metrics.h"
#include "num/special.h"
#include "train/train.h"

#define MIN_CLUSTERS 30			/* below, a normal interval says nothing */

static const char *const loss_names[] = {"rmse", "mae", "log_loss", "brier"};

const char *
ml_loss_name(MlLoss loss)
{
	return loss_names[loss];
}

MlLoss
ml_loss_parse(const char *name, bool classes)
{
	int			first = classes ? ML_LOSS_LOG : ML_LOSS_RMSE;

	for (int i = first; i < first + 2; i++)
		if (name == NULL || strcmp(name, loss_names[i]) == 0)
			return (MlLoss) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("metric \"%s\" cannot decide between two versions", name),
			 errhint("Valid ones are \"%s\" and \"%s\".", loss_names[first], loss_names[first + 1])));
}

/* ---- predictions ---- */

void
ml_rival_open(MlRival *rival, const MlTraining *t)
{
	const MlModel *model = rival->model;
	const MlSchema *schema = model->encoder->schema;

	if (model->target == NULL || t->target_column < 0 || (t->task != 0 && t->task != model->task))
	{
		rival->differs = true;
		return;
	}
	rival->outputs = model->classes > 2 ? model->classes : 1;
	rival->column = palloc(Max(schema->ncolumns, 1) * sizeof(int));
	rival->converters = palloc0(Max(schema->ncolumns, 1) * sizeof(MlConverter));
	rival->cells = palloc(Max(schema->ncells, 1) * sizeof(double));
	rival->x = palloc(Max(model->encoder->p, 1) * sizeof(double));
	for (int i = 0; i < schema->ncolumns; i++)
	{
		rival->column[i] = ml_source_find(t->source, schema->columns[i].name);
		if (rival->column[i] < 0)
		{
			rival->missing = schema->columns[i].name;
			return;
		}
		ml_converter_init(&rival->converters[i], &schema->columns[i],
						  t->source->columns[rival->column[i]].type, false);
	}
}

void
ml_rival_predict(MlRival *rival, const MlRow *row, int first, double *out)
{
	const MlModel *model = rival->model;
	const MlSchema *schema = model->encoder->schema;

	for (int i = 0; i < schema->ncolumns; i++)
	{
		double	   *cells = rival->cells + schema->columns[i].first_cell;

		ml_convert(&rival->converters[i], row->values[first + i], row->isnull[first + i], cells);
		for (int c = 0; c < schema->columns[i].cells; c++)
			if (isinf(cells[c]))
				cells[c] = get_float8_nan();
	}
	if (ml_encode(model->encoder, rival->cells, schema->ncells, 1, rival->x))
		model->algorithm->predict(model->fit, rival->x, out);
	else
		out[0] = get_float8_nan();
}

/* ---- losses ---- */

/* The weight is the first. */
enum
{
	LOSS = 1, DIFFERENCE, QUANTITIES
};

typedef struct Cluster
{
	double		key;
	double		quantity[QUANTITIES];
} Cluster;

void
ml_rival_begin(MlRival *rival, const MlTraining *t)
{
	const MlModel *model = rival->model;

	memset(&rival->sums, 0, sizeof(rival->sums));
	rival->sums.m = QUANTITIES;
	memset(&rival->result, 0, sizeof(rival->result));
	if (t->task != model->task || (t->classes == 0) != (model->classes == 0))
	{
		rival->differs = true;
		return;
	}
	rival->result.loss = ml_loss_parse(rival->asked, t->classes > 0);
	rival->class_of = palloc0(Max(t->classes, 1) * sizeof(int));
	for (int k = 0; k < t->classes; k++)
	{
		rival->class_of[k] = -1;
		for (int j = 0; j < model->classes; j++)
			if (strcmp(t->labels[k], model->labels[j]) == 0)
				rival->class_of[k] = j;
	}
	if (t->split_column >= 0)
	{
		HASHCTL		ctl = {.keysize = sizeof(double), .entrysize = sizeof(Cluster), .hcxt = CurrentMemoryContext};

		rival->clusters = hash_create("ml_ext clusters", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	rival->measured = true;
}

void
ml_rival_add(MlRival *rival, const MlTraining *t, double y, const double *out, const double *rival_out,
			 double w, double cluster)
{
	MlLoss		loss = rival->result.loss;
	int			k = t->classes > 0 ? (int) y : 0;
	double		quantity[QUANTITIES] = {w};

	if (isnan(rival_out[0]))
	{
		rival->result.unscored++;
		return;
	}
	quantity[LOSS] = w * ml_loss_of(loss, rival->model->classes, y, rival->class_of[k], rival_out);
	quantity[DIFFERENCE] = w * ml_loss_of(loss, t->classes, y, k, out) - quantity[LOSS];
	rival->result.rows++;
	if (rival->clusters)
	{
		bool		found;
		Cluster    *c = hash_search(rival->clusters, &cluster, HASH_ENTER, &found);

		if (!found)
		{
			memset(c->quantity, 0, sizeof(c->quantity));
			if (hash_get_num_entries(rival->clusters) % 4096 == 0)
				ml_budget_check((Size) hash_get_num_entries(rival->clusters) * 2 * sizeof(Cluster), "groups of rows");
		}
		for (int i = 0; i < QUANTITIES; i++)
			c->quantity[i] += quantity[i];
	}
	else
		ml_paired_add(&rival->sums, quantity);
}

void
ml_rival_end(MlRival *rival)
{
	MlPaired   *s = &rival->sums;
	MlDuelResult *r = &rival->result;
	double		slope[QUANTITIES] = {0, 0, 1};
	double		margin;

	if (rival->clusters)
	{
		HASH_SEQ_STATUS scan;
		Cluster    *c;

		hash_seq_init(&scan, rival->clusters);
		while ((c = hash_seq_search(&scan)) != NULL)
			ml_paired_add(s, c->quantity);
	}
	r->rival = s->sum[LOSS] / s->sum[0];
	r->difference = s->sum[DIFFERENCE] / s->sum[0];
	if (r->loss == ML_LOSS_RMSE)
	{
		r->difference = ml_paired_root(r->rival, r->difference, &slope[LOSS], &slope[DIFFERENCE]);
		r->rival = sqrt(r->rival);
	}
	r->value = r->rival + r->difference;
	margin = ml_normal_quantile(0.95) * sqrt(ml_paired_variance(s, slope));
	if (s->n < MIN_CLUSTERS || !isfinite(margin))
		margin = get_float8_nan();
	r->low = r->difference - margin;
	r->high = r->difference + margin;
}
