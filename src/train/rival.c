/*
 * rival.c - a champion measured on the rows that a new training holds out.
 *
 * Its predictions are made as the rows come by and kept beside them, so that both
 * models meet the same rows of one snapshot, whatever the split is by.  The
 * difference of the mean losses is a ratio of sums over clusters, whose variance
 * is that of the linearized sums (Cochran, Sampling Techniques, 1977, 6.3); for the
 * root of a mean by the delta method.  A row is a cluster of its own unless the
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

typedef struct Cluster
{
	double		key;
	double		w;
	double		b;
	double		d;
} Cluster;

void
ml_rival_begin(MlRival *rival, const MlTraining *t)
{
	const MlModel *model = rival->model;

	memset(&rival->sums, 0, sizeof(rival->sums));
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

/* Of one row; k is the model's class of what happened, -1: it knows none such. */
static double
loss_of(MlLoss loss, int classes, double y, int k, const double *out)
{
	double		sum = 0;

	switch (loss)
	{
		case ML_LOSS_RMSE:
			return (y - out[0]) * (y - out[0]);
		case ML_LOSS_MAE:
			return fabs(y - out[0]);
		case ML_LOSS_LOG:
			if (classes == 2)
				return ml_log_loss_of(k < 0 ? 0 : k == 1 ? out[0] : 1 - out[0]);
			return ml_log_loss_of(k < 0 ? 0 : out[k]);
		case ML_LOSS_BRIER:
			if (classes == 2)
			{
				if (k < 0)		/* of all three classes, halved as the binary one is */
					return (1 + out[0] * out[0] + (1 - out[0]) * (1 - out[0])) / 2;
				return (k - out[0]) * (k - out[0]);
			}
			for (int j = 0; j < classes; j++)
				sum += ((j == k) - out[j]) * ((j == k) - out[j]);
			return sum + (k < 0);
	}
	elog(ERROR, "unknown loss %d", (int) loss);
}

static void
add_cluster(MlDuel *s, double w, double b, double d)
{
	s->clusters++;
	s->ww += w * w;
	s->bb += b * b;
	s->dd += d * d;
	s->bd += b * d;
	s->bw += b * w;
	s->dw += d * w;
}

void
ml_rival_add(MlRival *rival, const MlTraining *t, double y, const double *out, const double *rival_out,
			 double w, double cluster)
{
	MlDuel	   *s = &rival->sums;
	MlLoss		loss = rival->result.loss;
	int			k = t->classes > 0 ? (int) y : 0;
	double		b;
	double		d;

	if (isnan(rival_out[0]))
	{
		rival->result.unscored++;
		return;
	}
	b = w * loss_of(loss, rival->model->classes, y, rival->class_of[k], rival_out);
	d = w * loss_of(loss, t->classes, y, k, out) - b;
	s->rows++;
	s->w += w;
	s->b += b;
	s->d += d;
	if (rival->clusters)
	{
		bool		found;
		Cluster    *c = hash_search(rival->clusters, &cluster, HASH_ENTER, &found);

		if (!found)
		{
			c->w = c->b = c->d = 0;
			if (hash_get_num_entries(rival->clusters) % 4096 == 0)
				ml_budget_check((Size) hash_get_num_entries(rival->clusters) * 2 * sizeof(Cluster), "groups of rows");
		}
		c->w += w;
		c->b += b;
		c->d += d;
	}
	else
		add_cluster(s, w, b, d);
}

void
ml_rival_end(MlRival *rival)
{
	MlDuel	   *s = &rival->sums;
	MlDuelResult *r = &rival->result;
	double		mean_b;
	double		mean_d;
	double		root_a = 0;
	double		root_b = 0;
	double		of_b = 0;		/* derivatives of the difference */
	double		of_d = 1;
	double		vb;
	double		vd;
	double		cov;
	double		margin;

	if (rival->clusters)
	{
		HASH_SEQ_STATUS scan;
		Cluster    *c;

		hash_seq_init(&scan, rival->clusters);
		while ((c = hash_seq_search(&scan)) != NULL)
			add_cluster(s, c->w, c->b, c->d);
	}
	r->rows = (int64) s->rows;
	mean_b = s->b / s->w;
	mean_d = s->d / s->w;
	r->rival = mean_b;
	r->value = mean_b + mean_d;
	r->difference = mean_d;
	if (r->loss == ML_LOSS_RMSE)
	{
		root_b = r->rival = sqrt(mean_b);
		root_a = r->value = sqrt(fmax(r->value, 0));
		r->difference = root_a - root_b;
		of_d = 1 / (2 * root_a);
		of_b = of_d - 1 / (2 * root_b);
	}
	vb = s->bb - 2 * mean_b * s->bw + mean_b * mean_b * s->ww;
	vd = s->dd - 2 * mean_d * s->dw + mean_d * mean_d * s->ww;
	cov = s->bd - mean_d * s->bw - mean_b * s->dw + mean_b * mean_d * s->ww;
	margin = of_b * of_b * vb + of_d * of_d * vd + 2 * of_b * of_d * cov;
	margin = ml_normal_quantile(0.95) * sqrt(fmax(margin, 0) * s->clusters / (s->clusters - 1)) / s->w;
	if (s->clusters < MIN_CLUSTERS || !isfinite(margin))
		margin = get_float8_nan();
	r->low = r->difference - margin;
	r->high = r->difference + margin;
}
