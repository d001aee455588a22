/*
 * moments.h - weighted first and second moments of the columns of a problem and
 * its target: the state of linear, ridge, lasso and elastic_net.
 *
 * The state is a flat array of doubles: rows, sum of weights, sum of log weights,
 * a shift for each column, and the Gram matrix of [1, x - shift, y - shift] with
 * every row multiplied by the root of its weight.  The shift is near the mean,
 * so that no digits are lost when the mean is large beside the spread.
 */
#ifndef ML_MOMENTS_H
#define ML_MOMENTS_H

#include "ml.h"

/* A read-only view into a state. */
typedef struct MlMoments
{
	int			k;				/* p + 2: [1, x..., y] */
	double		rows;
	double		weight;			/* sum of w */
	double		log_weight;		/* sum of log w */
	const double *shift;		/* k; 0 for the column of ones */
	const double *gram;			/* k x k, both triangles */
} MlMoments;

extern size_t ml_moments_size(const MlProblem *problem);
extern void ml_moments_accumulate(const MlProblem *problem, double *state, const MlTile *tile);
extern void ml_moments_combine(const MlProblem *problem, double *state, const double *other, double sign);
extern MlMoments ml_moments_view(const MlProblem *problem, const double *state);

/*
 * What the solvers start from: centers, scales and the cross products of
 * z = (x - center) / scale and u = (y - y_center) / y_scale.  Centers are the
 * means, or 0 without intercept.  `unit`: which columns get their (population)
 * standard deviation as scale, NULL: all; the others, and constant ones, get 1.
 * y_scale is 1.  Arrays come from ml_alloc.
 */
typedef struct MlCross
{
	int			p;
	double		rows;
	double		weight;
	double	   *center;			/* p */
	double	   *center_rest;	/* p: exact mean - center, below the last bit of the center */
	double	   *scale;			/* p */
	double	   *sd;				/* p: population standard deviation; 0: constant */
	double	   *magnitude;		/* p + 1: root mean square of the raw column; last: the target */
	double	   *a;				/* p x p: sum w z z' */
	double	   *b;				/* p: sum w z u */
	double		y_center;
	double		y_center_rest;
	double		y_sd;
	double		yy;				/* sum w u^2 */
	bool		cancelled;		/* a mean lies so far from the shift that variances have lost digits */
} MlCross;

/* Fails (ml_fail_data) when there are no rows or a sum overflowed. */
extern MlCross *ml_cross_create(const MlProblem *problem, const double *state, bool intercept, const bool *unit);

/* The same into one that exists, for folds: no allocation. */
extern void ml_cross_fill(const MlProblem *problem, const double *state, bool intercept, const bool *unit,
						  MlCross *cross);

/*
 * Sum of w (y - alpha - beta (x - center))^2 over the rows of a state, at least 0.
 * Zeros in beta are skipped.  `work`: 2 (p + 2) doubles.
 */
extern double ml_moments_squared_error(const MlProblem *problem, const double *state, double alpha,
									   const double *beta, const double *center, double *work);

/* The same for an MlLinear, as MlAlgorithm.squared_error. */
extern double ml_moments_model_error(const MlProblem *problem, const double *state, const void *model);

/* Eta at x = center for coefficients of z (u units), with the rest of the means accounted for. */
extern double ml_cross_alpha(const MlCross *cross, bool intercept, const double *beta_z);

#endif
