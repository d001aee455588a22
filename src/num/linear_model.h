/*
 * linear_model.h - a linear predictor behind a link: what linear, ridge, lasso,
 * elastic_net, logistic, glm and baseline all fit.
 *
 * eta_k = intercept_k + sum_j beta_kj (x_j - center_j);  prediction = link^-1(eta).
 * Keeping the centers makes predictions exact when x is large beside its spread
 * (epoch seconds); ml_coefficients reports the intercept at x = 0.
 */
#ifndef ML_LINEAR_MODEL_H
#define ML_LINEAR_MODEL_H

#include "ml.h"

typedef enum MlLink			/* numbers are stored in models */
{
	ML_LINK_IDENTITY = 1,
	ML_LINK_LOG,
	ML_LINK_LOGIT,
	ML_LINK_PROBIT,
	ML_LINK_CLOGLOG,
	ML_LINK_INVERSE,
	ML_LINK_SQRT,
	ML_LINK_SOFTMAX,			/* outputs = classes */
	ML_LINK_CAUCHIT
} MlLink;

typedef struct MlLinear
{
	MlLink		link;
	int			p;				/* encoded columns */
	int			outputs;		/* 1, or the number of classes with ML_LINK_SOFTMAX */
	bool		intercept;
	double	   *center;			/* p */
	double	   *alpha;			/* outputs: eta at x = center */
	double	   *beta;			/* outputs x p; 0 for a column left out */
	int			given;			/* column whose coefficient is 1 without being estimated, such as an offset; or -1 */
	bool	   *aliased;		/* p: linearly dependent on earlier columns, reported as NULL; or NULL */

	/* Inference; vcov NULL when the method has none. */
	double	   *vcov;			/* (p + 1)^2 of (alpha, beta), row-major, first output only; aliased rows are zero */
	double	   *std_error;		/* outputs x (p + 1), intercept at x = 0 first, original scale, NaN: undefined;
								 * NULL: from vcov, where a zero on the diagonal means undefined */
	double		sigma;			/* residual standard deviation; NaN: none (dispersion known) */
	double		df;				/* residual degrees of freedom; infinite: z statistics */
	bool		mean_interval;	/* ml_predict_interval covers the mean, not a new observation */

	/* For ml_describe; NaN when undefined. */
	double		n;
	double		r_squared;
	double		adj_r_squared;
	double		f_statistic;
	double		f_p_value;
	double		deviance;
	double		null_deviance;
	double		aic;
	double		log_likelihood;
	double		dispersion;
	double		lambda;			/* penalty used, after choosing by cv */
	double		l1_ratio;
	int			iterations;
	int			rank;			/* columns not aliased, intercept not counted */

	/* The whole penalty path, when one was computed; npath may be 0. */
	int			npath;
	double	   *path_lambda;	/* npath, falling */
	double	   *path_nonzero;	/* npath */
	double	   *path_deviance;	/* npath: share of the null deviance explained */
	double	   *path_cv_mean;	/* npath: CV mean squared error, or NULL */
	double	   *path_cv_se;		/* npath, or NULL */
	double	   *path_beta;		/* npath x (p + 1): intercept at x = 0 first, original scale */
} MlLinear;

/* All arrays zeroed, numbers NaN. */
extern MlLinear *ml_linear_create(MlLink link, int p, int outputs);

/*
 * From standardized coordinates z = (x - center) / scale to the above: beta and
 * vcov are divided by scale, center copied (NULL: zeros and ones).
 */
extern void ml_linear_unscale(MlLinear *m, const double *center, const double *scale);

/* Keeps which of the p columns depend linearly on those before them, and warns of them by name. */
extern void ml_linear_set_aliased(MlLinear *m, const MlProblem *problem, const bool *aliased);

/* The functions of MlAlgorithm, shared. */
extern void ml_linear_predict(const void *model, const double *x, double *out);
extern void ml_linear_save(const void *model, MlWriter *writer);
extern void *ml_linear_load(MlReader *reader, int format, int p, int classes);
extern void ml_linear_describe(const void *model, MlRows *rows);
extern int	ml_linear_coefficients(const void *model, MlCoefficient *out);
extern void ml_linear_explain(const void *model, const double *x, int output, double *base, double *contrib);
extern void ml_linear_formula(const void *model, MlFormula *out);
extern bool ml_linear_interval(const void *model, const double *x, double level, double *low, double *high);

/* The inverse link of one eta, and d mu / d eta; mu never leaves the family's range by rounding. */
extern double ml_link_mean(MlLink link, double eta);
extern double ml_link_slope(MlLink link, double eta);
extern double ml_link_eta(MlLink link, double mu);

#endif
