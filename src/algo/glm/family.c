/*
 * family.c - means, variances and deviances of the exponential families and
 * their links (McCullagh and Nelder 1989, chapter 2).
 */
#include <float.h>
#include <math.h>

#include "family.h"

#define EDGE 1e-7				/* a mean within this of its bound, relative to the mean of the target, is at it */

Mean
ml_glm_mean(Family family, MlLink link, double eta)
{
	Mean		m;

	m.mu = ml_link_mean(link, eta);
	m.slope = ml_link_slope(link, eta);
	m.rest = 1;
	m.sd = 1;
	m.valid = isfinite(eta) && isfinite(m.mu) && !(link == ML_LINK_SQRT && eta <= 0);
	switch (family)
	{
		case BINOMIAL:
			if (link == ML_LINK_LOGIT || link == ML_LINK_PROBIT || link == ML_LINK_CAUCHIT)
				m.rest = ml_link_mean(link, -eta);
			else if (link == ML_LINK_CLOGLOG)
				m.rest = fmax(exp(-exp(eta)), DBL_MIN);
			else
				m.rest = -expm1(eta);
			m.sd = sqrt(m.mu) * sqrt(m.rest);
			m.valid = m.valid && m.mu > 0 && m.rest > 0;
			break;
		case POISSON:
			m.sd = sqrt(m.mu);
			m.valid = m.valid && m.mu > 0;
			break;
		case GAMMA:
			m.sd = m.mu;
			m.valid = m.valid && m.mu > 0;
			break;
		case GAUSSIAN:
			break;
	}
	return m;
}

/* Only where the likelihood does not keep means from the bound, and the link lets them reach it. */
bool
ml_glm_at_edge(Family family, MlLink link, double y, const Mean *m, double mean)
{
	if (family == BINOMIAL)
		return link == ML_LINK_LOG && m->rest <= EDGE;
	return family == POISSON && link != ML_LINK_LOG && y == 0 && m->mu <= EDGE * mean;
}

/*
 * Observed less expected information of a row of weight 1: (mu - y) times the
 * derivative of slope / variance by eta.
 */
double
ml_glm_curvature(Family family, MlLink link, double eta, double y, const Mean *m)
{
	double		bend = 0;		/* second derivative of mu */
	double		rise = 0;		/* derivative of the variance by mu */
	double		s = m->slope / m->sd;
	double		c;

	switch (link)
	{
		case ML_LINK_LOG:
			bend = m->slope;
			break;
		case ML_LINK_LOGIT:
			bend = m->slope * (m->rest - m->mu);
			break;
		case ML_LINK_PROBIT:
			bend = -eta * m->slope;
			break;
		case ML_LINK_CLOGLOG:
			bend = (1 - exp(eta)) * m->slope;
			break;
		case ML_LINK_CAUCHIT:
			bend = -2 * eta / (1 + eta * eta) * m->slope;
			break;
		case ML_LINK_INVERSE:
			bend = 2 / eta / eta / eta;
			break;
		case ML_LINK_SQRT:
			bend = 2;
			break;
		default:
			break;
	}
	if (family == BINOMIAL)
		rise = m->rest - m->mu;
	else if (family == POISSON)
		rise = 1;
	else if (family == GAMMA)
		rise = 2 * m->mu;
	c = (m->mu - y) / m->sd * (bend / m->sd - s * s * (rise / m->sd));
	return isfinite(c) ? c : 0;
}

static double
x_log_ratio(double y, double mu)
{
	return y > 0 ? y * log(y / mu) : 0;
}

double
ml_glm_half_deviance(Family family, double y, const Mean *m)
{
	switch (family)
	{
		case BINOMIAL:
			return x_log_ratio(y, m->mu) + x_log_ratio(1 - y, m->rest);
		case POISSON:
			return x_log_ratio(y, m->mu) - (y - m->mu);
		case GAMMA:
			return (y - m->mu) / m->mu - log(y / m->mu);
		default:
			return (y - m->mu) * (y - m->mu) / 2;
	}
}

double
ml_glm_saturated(Family family, double y, double w)
{
	switch (family)
	{
		case BINOMIAL:
			if (y == 0 || y == 1)
				return 0;
			return lgamma(w + 1) - lgamma(w * y + 1) - lgamma(w * (1 - y) + 1) +
				w * (y * log(y) + (1 - y) * log1p(-y));
		case POISSON:
			return w * ((y > 0 ? y * log(y) : 0) - y - lgamma(y + 1));
		case GAMMA:
			return w * log(y);
		default:
			return log(w);
	}
}

void
ml_glm_check_target(Family family, double y)
{
	if (family == BINOMIAL && !(y >= 0 && y <= 1))
		ml_fail_data("family \"binomial\" needs a target between 0 and 1, not %g", y);
	if (family == POISSON && !(y >= 0))
		ml_fail_data("family \"poisson\" needs a target that is not negative, not %g", y);
	if (family == GAMMA && !(y > 0))
		ml_fail_data("family \"gamma\" needs a target above 0, not %g", y);
}

double
ml_glm_starting_eta(Family family, MlLink link, double y, double w)
{
	double		mu = y;

	if (family == BINOMIAL)
		mu = (w * y + 0.5) / (w + 1);
	else if (family == POISSON)
		mu = y + 0.1;
	if ((link == ML_LINK_LOG && mu <= 0) || (link == ML_LINK_INVERSE && mu == 0))
		return NAN;
	return ml_link_eta(link, mu);
}
