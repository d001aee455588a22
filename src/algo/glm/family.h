/*
 * family.h - what one row contributes to a generalized linear model.
 */
#ifndef ML_GLM_FAMILY_H
#define ML_GLM_FAMILY_H

#include "num/linear_model.h"

typedef enum Family
{
	GAUSSIAN,
	BINOMIAL,
	POISSON,
	GAMMA
} Family;

/* A mean and what goes with it. */
typedef struct Mean
{
	double		mu;
	double		rest;			/* binomial: 1 - mu, without cancellation */
	double		slope;			/* d mu / d eta */
	double		sd;				/* square root of the variance function */
	bool		valid;
} Mean;

extern Mean ml_glm_mean(Family family, MlLink link, double eta);

/* Whether a mean is as good as at the bound of what is allowed, and the likelihood does not keep it away; `mean` of the target. */
extern bool ml_glm_at_edge(Family family, MlLink link, double y, const Mean *m, double mean);

/* Observed less expected information of a row of weight 1. */
extern double ml_glm_curvature(Family family, MlLink link, double eta, double y, const Mean *m);

/* Half the unit deviance. */
extern double ml_glm_half_deviance(Family family, double y, const Mean *m);

/* What a row adds to the log-likelihood whatever its mean: of the perfect fit, or gamma sum w log y, gaussian sum log w. */
extern double ml_glm_saturated(Family family, double y, double w);

/* Ends the training for a target that the family does not allow. */
extern void ml_glm_check_target(Family family, double y);

/* R's starting means under the link; NaN where it has none for this value. */
extern double ml_glm_starting_eta(Family family, MlLink link, double y, double w);

#endif
