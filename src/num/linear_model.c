/*
 * linear_model.c - a linear predictor behind a link: prediction, bytes,
 * coefficients and intervals shared by every linear algorithm.
 *
 * A model lives in the memory that was current when it was created or loaded.
 * Bytes are written and read field by field; load checks each count against
 * what is left before it allocates.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "num/linear_model.h"
#include "num/special.h"

#define HAS_ALIASED		(1u << 0)
#define HAS_VCOV		(1u << 1)
#define HAS_STD_ERROR	(1u << 2)
#define HAS_CV_MEAN		(1u << 3)
#define HAS_CV_SE		(1u << 4)
#define HAS_INTERCEPT	(1u << 5)
#define MEAN_INTERVAL	(1u << 6)
#define HAS_GIVEN		(1u << 7)
#define ALL_FLAGS		((1u << 8) - 1)

#define MAX_PATH		100000
#define CHECK_COLUMNS	256		/* of a matrix, between two looks at interrupts */

static const char *const link_names[] = {
	"", "identity", "log", "logit", "probit", "cloglog", "inverse", "sqrt", "softmax", "cauchit"
};

MlLinear *
ml_linear_create(MlLink link, int p, int outputs)
{
	MlLinear   *m = ml_alloc(1, sizeof(MlLinear));

	m->link = link;
	m->p = p;
	m->outputs = outputs;
	m->intercept = true;
	m->given = -1;
	m->center = ml_alloc(p > 0 ? p : 1, sizeof(double));
	m->alpha = ml_alloc(outputs, sizeof(double));
	m->beta = ml_alloc((size_t) outputs * p + 1, sizeof(double));
	m->sigma = m->df = m->n = NAN;
	m->r_squared = m->adj_r_squared = m->f_statistic = m->f_p_value = NAN;
	m->deviance = m->null_deviance = m->aic = m->log_likelihood = NAN;
	m->dispersion = m->lambda = m->l1_ratio = NAN;
	return m;
}

#define MAX_NAMED 20			/* warnings with a name; the others are counted */

void
ml_linear_set_aliased(MlLinear *m, const MlProblem *problem, const bool *aliased)
{
	int			count = 0;

	for (int j = 0; j < m->p; j++)
	{
		if (!aliased[j])
			continue;
		if (++count <= MAX_NAMED)
			ml_warn("column \"%s\" is a linear combination of the columns before it and was left out",
					problem->names[j]);
	}
	if (count == 0)
		return;
	if (count > MAX_NAMED)
		ml_warn("%d more columns are linear combinations of the columns before them and were left out",
				count - MAX_NAMED);
	m->aliased = ml_alloc(m->p, sizeof(bool));
	memcpy(m->aliased, aliased, m->p * sizeof(bool));
}

void
ml_linear_unscale(MlLinear *m, const double *center, const double *scale)
{
	int			k = m->p + 1;

	for (int j = 0; j < m->p; j++)
	{
		double		s = scale ? scale[j] : 1;

		if (j % CHECK_COLUMNS == CHECK_COLUMNS - 1)
			ml_check_interrupts();
		m->center[j] = center ? center[j] : 0;
		for (int o = 0; o < m->outputs; o++)
			m->beta[(size_t) o * m->p + j] /= s;
		if (m->vcov)
			for (int i = 0; i < k; i++)
			{
				m->vcov[(size_t) (j + 1) * k + i] /= s;
				m->vcov[(size_t) i * k + j + 1] /= s;
			}
	}
}

/* ---- links ---- */

double
ml_link_mean(MlLink link, double eta)
{
	double		mu;

	if (isnan(eta))
		return eta;				/* infinities of both signs: the bounds below would hide it */
	switch (link)
	{
		case ML_LINK_LOG:
			return fmin(fmax(exp(eta), DBL_MIN), DBL_MAX);
		case ML_LINK_LOGIT:
			mu = eta >= 0 ? 1 / (1 + exp(-eta)) : exp(eta) / (1 + exp(eta));
			break;
		case ML_LINK_PROBIT:
			mu = ml_normal_cdf(eta);
			break;
		case ML_LINK_CLOGLOG:
			mu = -expm1(-exp(eta));
			break;
		case ML_LINK_CAUCHIT:
			mu = atan2(1, -eta) / M_PI; /* 1/2 + atan(eta)/pi, without cancellation */
			break;
		case ML_LINK_INVERSE:
			return 1 / eta;
		case ML_LINK_SQRT:
			return eta * eta;
		default:
			return eta;
	}
	return fmin(fmax(mu, DBL_MIN), 1 - DBL_EPSILON / 2);
}

double
ml_link_slope(MlLink link, double eta)
{
	double		e;

	switch (link)
	{
		case ML_LINK_LOG:
			return fmin(fmax(exp(eta), DBL_MIN), DBL_MAX);
		case ML_LINK_LOGIT:
			e = exp(-fabs(eta));
			return e / ((1 + e) * (1 + e));
		case ML_LINK_PROBIT:
			return 0.398942280401432677939946059934 * exp(-0.5 * eta * eta);
		case ML_LINK_CLOGLOG:
			return exp(eta - exp(eta));
		case ML_LINK_CAUCHIT:
			return 1 / (M_PI * (1 + eta * eta));
		case ML_LINK_INVERSE:
			return -1 / (eta * eta);
		case ML_LINK_SQRT:
			return 2 * eta;
		default:
			return 1;
	}
}

double
ml_link_eta(MlLink link, double mu)
{
	switch (link)
	{
		case ML_LINK_LOG:
			return log(mu);
		case ML_LINK_LOGIT:
			return log(mu / (1 - mu));
		case ML_LINK_PROBIT:
			return ml_normal_quantile(mu);
		case ML_LINK_CLOGLOG:
			return log(-log1p(-mu));
		case ML_LINK_CAUCHIT:
			return -1 / tan(M_PI * mu);
		case ML_LINK_INVERSE:
			return 1 / mu;
		case ML_LINK_SQRT:
			return sqrt(mu);
		default:
			return mu;
	}
}

/* ---- prediction ---- */

static inline double
linear_predictor(const MlLinear *m, int output, const double *x)
{
	const double *beta = m->beta + (size_t) output * m->p;
	const double *center = m->center;
	double		s[4] = {0, 0, 0, 0};
	int			p = m->p;
	int			j = 0;

	/* Four sums let the additions overlap; their order never changes. */
	for (; j + 4 <= p; j += 4)
	{
		s[0] += beta[j] * (x[j] - center[j]);
		s[1] += beta[j + 1] * (x[j + 1] - center[j + 1]);
		s[2] += beta[j + 2] * (x[j + 2] - center[j + 2]);
		s[3] += beta[j + 3] * (x[j + 3] - center[j + 3]);
	}
	for (; j < p; j++)
		s[0] += beta[j] * (x[j] - center[j]);
	return m->alpha[output] + ((s[0] + s[1]) + (s[2] + s[3]));
}

void
ml_linear_predict(const void *model, const double *x, double *out)
{
	const MlLinear *m = model;
	double		top;
	double		sum = 0;

	if (m->link != ML_LINK_SOFTMAX)
	{
		double		eta = linear_predictor(m, 0, x);

		*out = m->link == ML_LINK_IDENTITY ? eta : ml_link_mean(m->link, eta);
		return;
	}
	top = -INFINITY;
	for (int k = 0; k < m->outputs; k++)
	{
		out[k] = linear_predictor(m, k, x);
		top = fmax(top, out[k]);
	}
	for (int k = 0; k < m->outputs; k++)
		sum += out[k] = exp(out[k] - top);
	for (int k = 0; k < m->outputs; k++)
		out[k] /= sum;
}

/*
 * For softmax the margin of a class is its linear predictor less the mean of
 * all classes', the log of its probability over their geometric mean: unlike
 * the coefficients themselves it does not depend on the choice of reference.
 */
void
ml_linear_explain(const void *model, const double *x, int output, double *base, double *contrib)
{
	const MlLinear *m = model;
	int			own = m->outputs > 1 ? output : 0;

	*base = m->alpha[own];
	for (int j = 0; j < m->p; j++)
		contrib[j] = m->beta[(size_t) own * m->p + j] * (x[j] - m->center[j]);
	if (m->outputs == 1)
		return;
	for (int k = 0; k < m->outputs; k++)
	{
		*base -= m->alpha[k] / m->outputs;
		for (int j = 0; j < m->p; j++)
			contrib[j] -= m->beta[(size_t) k * m->p + j] * (x[j] - m->center[j]) / m->outputs;
	}
}

void
ml_linear_formula(const void *model, MlFormula *out)
{
	static const MlFormulaLink links[] = {
		[ML_LINK_IDENTITY] = ML_FORMULA_IDENTITY, [ML_LINK_LOG] = ML_FORMULA_EXP,
		[ML_LINK_LOGIT] = ML_FORMULA_LOGISTIC, [ML_LINK_PROBIT] = ML_FORMULA_PROBIT,
		[ML_LINK_CLOGLOG] = ML_FORMULA_CLOGLOG, [ML_LINK_INVERSE] = ML_FORMULA_INVERSE,
		[ML_LINK_SQRT] = ML_FORMULA_SQUARE, [ML_LINK_SOFTMAX] = ML_FORMULA_SOFTMAX,
		[ML_LINK_CAUCHIT] = ML_FORMULA_CAUCHIT
	};
	const MlLinear *m = model;

	for (int k = 0; k < m->outputs; k++)
	{
		out->begin(out, m->alpha[k], 1);
		out->linear(out, m->beta + (size_t) k * m->p, m->center);
	}
	out->link(out, links[m->link]);
}

/* v' V v, v = (1 or 0, d) */
static double
variance_of(const MlLinear *m, const double *x)
{
	int			k = m->p + 1;
	double		sum = m->vcov[0];

	for (int i = 0; i < m->p; i++)
	{
		const double *row = m->vcov + (size_t) (i + 1) * k;
		double		s = 2 * row[0];

		/* x NULL: the point 0, whose predictor is the reported intercept */
		for (int j = 0; j < m->p; j++)
			s += row[j + 1] * ((x ? x[j] : 0) - m->center[j]);
		sum += s * ((x ? x[i] : 0) - m->center[i]);
	}
	return sum;
}

bool
ml_linear_interval(const void *model, const double *x, double level, double *low, double *high)
{
	const MlLinear *m = model;
	double		eta;
	double		variance;
	double		half;

	if (!m->vcov || m->outputs > 1 || !(m->df > 0))
		return false;
	for (int j = 0; j < m->p; j++)
		if (m->beta[j] != 0 && !(m->vcov[(size_t) (j + 1) * (m->p + 2)] > 0) && m->sigma != 0 && j != m->given)
			return false;
	eta = linear_predictor(m, 0, x);
	variance = fmax(variance_of(m, x), 0);
	if (!m->mean_interval)
	{
		if (!(m->sigma >= 0))
			return false;
		variance += m->sigma * m->sigma;
	}
	half = ml_t_quantile(0.5 + level / 2, m->df) * sqrt(variance);
	*low = ml_link_mean(m->link, eta - half);
	*high = ml_link_mean(m->link, eta + half);
	if (m->link == ML_LINK_INVERSE && (eta - half) * (eta + half) <= 0)
		return false;			/* the limits are not on one branch */
	if (m->link == ML_LINK_SQRT && eta - half < 0 && eta + half > 0)
	{
		*high = fmax(*low, *high);
		*low = 0;
	}
	if (*low > *high)
	{
		double		t = *low;

		*low = *high;
		*high = t;
	}
	return true;
}

/* ---- coefficients ---- */

static void
fill_coefficient(const MlLinear *m, MlCoefficient *c)
{
	double		half;

	c->statistic = c->p_value = c->ci_low = c->ci_high = NAN;
	if (!(c->std_error > 0))
	{
		c->std_error = NAN;
		return;
	}
	if (!(m->df > 0))
		return;
	c->statistic = c->estimate / c->std_error;
	c->p_value = ml_t_two_sided(c->statistic, m->df);
	half = ml_t_quantile(0.975, m->df) * c->std_error;
	c->ci_low = c->estimate - half;
	c->ci_high = c->estimate + half;
}

static double
standard_error(const MlLinear *m, int output, int column)
{
	if (m->std_error)
		return m->std_error[(size_t) output * (m->p + 1) + column + 1];
	if (!m->vcov || output > 0)
		return NAN;
	if (column >= 0)
		return sqrt(m->vcov[(size_t) (column + 1) * (m->p + 2)]);
	/* The intercept at 0 leans on every column: it is no better known than they are. */
	for (int j = 0; j < m->p; j++)
		if (m->beta[j] != 0 && m->center[j] != 0 && !(m->vcov[(size_t) (j + 1) * (m->p + 2)] > 0) && j != m->given)
			return NAN;
	return sqrt(fmax(variance_of(m, NULL), 0));
}

int
ml_linear_coefficients(const void *model, MlCoefficient *out)
{
	const MlLinear *m = model;
	int			n = 0;

	if (!out)
		return m->outputs * (m->p + (m->intercept ? 1 : 0) - (m->given >= 0 ? 1 : 0));
	for (int o = 0; o < m->outputs; o++)
		for (int j = m->intercept ? -1 : 0; j < m->p; j++)
		{
			MlCoefficient *c;
			const double *beta = m->beta + (size_t) o * m->p;

			if (j >= 0 && j == m->given)
				continue;
			c = &out[n++];
			c->column = j;
			c->output = o;
			if (j >= 0)
				c->estimate = m->aliased && m->aliased[j] ? NAN : beta[j];
			else
			{
				c->estimate = m->alpha[o];
				for (int i = 0; i < m->p; i++)
					c->estimate -= beta[i] * m->center[i];
			}
			/* Far from the center the intercept at x = 0 may be beyond all numbers. */
			if (!isfinite(c->estimate))
				c->estimate = NAN;
			c->std_error = isnan(c->estimate) ? NAN : standard_error(m, o, j);
			fill_coefficient(m, c);
		}
	return n;
}

/* ---- for people ---- */

static void
describe_number(MlRows *rows, const char *item, double value)
{
	if (!isnan(value))
		ml_row_number(rows, item, value);
}

static void
describe_path(const MlLinear *m, MlRows *rows)
{
	for (int i = 0; i < m->npath; i++)
	{
		char		item[32];
		char		text[192];
		int			n;

		snprintf(item, sizeof(item), "path %d", i + 1);
		n = snprintf(text, sizeof(text), "lambda %.6g, nonzero %.0f, deviance explained %.6g",
					 m->path_lambda[i], m->path_nonzero[i], m->path_deviance[i]);
		if (m->path_cv_mean && n < (int) sizeof(text))
			n += snprintf(text + n, sizeof(text) - n, ", cv mse %.6g", m->path_cv_mean[i]);
		if (m->path_cv_se && n < (int) sizeof(text))
			snprintf(text + n, sizeof(text) - n, " (se %.3g)", m->path_cv_se[i]);
		ml_row_text(rows, item, text);
	}
}

void
ml_linear_describe(const void *model, MlRows *rows)
{
	const MlLinear *m = model;

	ml_row_text(rows, "link", link_names[m->link]);
	ml_row_text(rows, "intercept", m->intercept ? "true" : "false");
	describe_number(rows, "observations", m->n);
	ml_row_number(rows, "rank", m->rank);
	if (m->iterations > 0)
		ml_row_number(rows, "iterations", m->iterations);
	describe_number(rows, "residual standard error", m->sigma);
	if (isfinite(m->df))
		ml_row_number(rows, "residual degrees of freedom", m->df);
	describe_number(rows, "r squared", m->r_squared);
	describe_number(rows, "adjusted r squared", m->adj_r_squared);
	describe_number(rows, "f statistic", m->f_statistic);
	describe_number(rows, "f p-value", m->f_p_value);
	describe_number(rows, "null deviance", m->null_deviance);
	describe_number(rows, "deviance", m->deviance);
	describe_number(rows, "dispersion", m->dispersion);
	describe_number(rows, "log likelihood", m->log_likelihood);
	describe_number(rows, "aic", m->aic);
	describe_number(rows, "lambda", m->lambda);
	describe_number(rows, "l1 ratio", m->l1_ratio);
	describe_path(m, rows);
}

/* ---- bytes ---- */

/* The numbers that may be NaN, in the order in which they are stored. */
static void
scalars(MlLinear *m, double **field)
{
	double	   *all[] = {
		&m->sigma, &m->df, &m->n, &m->r_squared, &m->adj_r_squared, &m->f_statistic, &m->f_p_value,
		&m->deviance, &m->null_deviance, &m->aic, &m->log_likelihood, &m->dispersion, &m->lambda, &m->l1_ratio
	};

	memcpy(field, all, sizeof(all));
}

#define N_SCALARS 14

static bool
all_finite(const double *values, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isfinite(values[i]))
			return false;
	return true;
}

/*
 * Data at the ends of the range of a double: without finite coefficients there
 * is no model; what overflowed besides them is undefined.
 */
static void
settle(MlLinear *m)
{
	double	   *field[N_SCALARS];
	size_t		p = m->p;

	if (!all_finite(m->center, p) || !all_finite(m->alpha, m->outputs) || !all_finite(m->beta, p * m->outputs))
		ml_fail_data("the coefficients are beyond the range of double precision: "
					 "divide target, columns or weights by a power of ten first");
	if (m->vcov && !all_finite(m->vcov, (p + 1) * (p + 1)))
		m->vcov = NULL;
	for (size_t i = 0; m->vcov && i <= p; i++)
		if (m->vcov[i * (p + 2)] < 0)
			m->vcov = NULL;
	for (size_t i = 0; m->std_error && i < (p + 1) * m->outputs; i++)
		if (isinf(m->std_error[i]))
			m->std_error = NULL;
	scalars(m, field);
	for (int i = 0; i < N_SCALARS; i++)
		if (isinf(*field[i]) && field[i] != &m->df)
			*field[i] = NAN;
	if (m->npath > 0 && (!all_finite(m->path_lambda, m->npath) || !all_finite(m->path_deviance, m->npath) ||
						 !all_finite(m->path_beta, m->npath * (p + 1))))
	{
		m->npath = 0;
		m->path_cv_mean = m->path_cv_se = NULL;
	}
	if (m->path_cv_mean && !all_finite(m->path_cv_mean, m->npath))
		m->path_cv_mean = NULL;
	if (m->path_cv_se && !all_finite(m->path_cv_se, m->npath))
		m->path_cv_se = NULL;
}

void
ml_linear_save(const void *model, MlWriter *writer)
{
	MlLinear	m = *(const MlLinear *) model;
	double	   *field[N_SCALARS];
	size_t		p = m.p;

	settle(&m);
	ml_write_u8(writer, m.link);
	ml_write_u32(writer, m.p);
	ml_write_u32(writer, m.outputs);
	ml_write_u32(writer, (m.aliased ? HAS_ALIASED : 0) | (m.vcov ? HAS_VCOV : 0) |
				 (m.std_error ? HAS_STD_ERROR : 0) | (m.path_cv_mean ? HAS_CV_MEAN : 0) |
				 (m.path_cv_se ? HAS_CV_SE : 0) | (m.intercept ? HAS_INTERCEPT : 0) |
				 (m.mean_interval ? MEAN_INTERVAL : 0) | (m.given >= 0 ? HAS_GIVEN : 0));
	ml_write_u32(writer, m.iterations);
	ml_write_u32(writer, m.rank);
	ml_write_u32(writer, m.npath);
	if (m.given >= 0)
		ml_write_u32(writer, m.given);
	ml_write_f64s(writer, m.center, p);
	ml_write_f64s(writer, m.alpha, m.outputs);
	ml_write_f64s(writer, m.beta, p * m.outputs);
	if (m.aliased)
		for (int j = 0; j < m.p; j++)
			ml_write_u8(writer, m.aliased[j]);
	if (m.vcov)
		ml_write_f64s(writer, m.vcov, (p + 1) * (p + 1));
	if (m.std_error)
		for (size_t i = 0; i < (p + 1) * m.outputs; i++)
			ml_write_f64(writer, m.std_error[i]);
	scalars(&m, field);
	for (int i = 0; i < N_SCALARS; i++)
		ml_write_f64(writer, *field[i]);
	if (m.npath == 0)
		return;
	ml_write_f64s(writer, m.path_lambda, m.npath);
	ml_write_f64s(writer, m.path_nonzero, m.npath);
	ml_write_f64s(writer, m.path_deviance, m.npath);
	if (m.path_cv_mean)
		ml_write_f64s(writer, m.path_cv_mean, m.npath);
	if (m.path_cv_se)
		ml_write_f64s(writer, m.path_cv_se, m.npath);
	ml_write_f64s(writer, m.path_beta, m.npath * (p + 1));
}

/* Refuses a count of numbers that the rest of the payload cannot hold. */
static size_t
checked(MlReader *reader, size_t count, size_t width)
{
	if (count > ml_read_left(reader) / width)
		ml_corrupt("%zu numbers are announced where %zu bytes are left", count, ml_read_left(reader));
	return count;
}

static void
load_inference(MlReader *reader, MlLinear *m, uint32_t flags)
{
	size_t		k = (size_t) m->p + 1;

	if (flags & HAS_ALIASED)
	{
		m->aliased = ml_alloc(checked(reader, m->p, 1) + 1, sizeof(bool));
		for (int j = 0; j < m->p; j++)
		{
			uint8_t		flag = ml_read_u8(reader);

			if (flag > 1)
				ml_corrupt("flag %u of column %d is neither 0 nor 1", (unsigned) flag, j);
			m->aliased[j] = flag;
		}
	}
	if (flags & HAS_VCOV)
	{
		m->vcov = ml_read_f64s(reader, checked(reader, k * k, sizeof(double)));
		for (size_t i = 0; i < k; i++)
			if (m->vcov[i * (k + 1)] < 0)
				ml_corrupt("variance of coefficient %zu is negative", i);
	}
	if (flags & HAS_STD_ERROR)
	{
		size_t		n = checked(reader, k * m->outputs, sizeof(double));

		m->std_error = ml_alloc(n, sizeof(double));
		for (size_t i = 0; i < n; i++)
		{
			double		value = ml_read_f64(reader);

			if (value < 0 || isinf(value))
				ml_corrupt("standard error %g of coefficient %zu is out of range", value, i);
			m->std_error[i] = value;
		}
	}
}

static void
load_path(MlReader *reader, MlLinear *m, uint32_t flags)
{
	size_t		n = checked(reader, m->npath, sizeof(double));

	m->path_lambda = ml_read_f64s(reader, n);
	m->path_nonzero = ml_read_f64s(reader, n);
	m->path_deviance = ml_read_f64s(reader, n);
	if (flags & HAS_CV_MEAN)
		m->path_cv_mean = ml_read_f64s(reader, n);
	if (flags & HAS_CV_SE)
		m->path_cv_se = ml_read_f64s(reader, n);
	m->path_beta = ml_read_f64s(reader, checked(reader, n * ((size_t) m->p + 1), sizeof(double)));
}

void *
ml_linear_load(MlReader *reader, int format, int p, int classes)
{
	int			outputs = classes > 2 ? classes : 1;
	uint8_t		link = ml_read_u8(reader);
	uint32_t	stored_p = ml_read_u32(reader, INT32_MAX);
	uint32_t	stored_outputs = ml_read_u32(reader, INT32_MAX);
	uint32_t	flags = ml_read_u32(reader, ALL_FLAGS);
	double	   *field[N_SCALARS];
	MlLinear   *m;

	if (link < ML_LINK_IDENTITY || link > ML_LINK_CAUCHIT || (link == ML_LINK_SOFTMAX) != (classes > 2))
		ml_corrupt("link %u does not fit a model of %d classes", (unsigned) link, classes);
	if (stored_p != (uint32_t) p || stored_outputs != (uint32_t) outputs)
		ml_corrupt("coefficients are for %u columns and %u outputs, not %d and %d",
				   stored_p, stored_outputs, p, outputs);
	m = ml_alloc(1, sizeof(MlLinear));
	m->link = link;
	m->p = p;
	m->outputs = outputs;
	m->intercept = (flags & HAS_INTERCEPT) != 0;
	m->mean_interval = (flags & MEAN_INTERVAL) != 0;
	m->iterations = ml_read_u32(reader, INT32_MAX);
	m->rank = ml_read_u32(reader, p);
	m->npath = ml_read_u32(reader, MAX_PATH);
	m->given = -1;
	if (flags & HAS_GIVEN)
	{
		if (p < 1)
			ml_corrupt("a given coefficient in a model without columns");
		m->given = ml_read_u32(reader, p - 1);
	}
	m->center = ml_read_f64s(reader, checked(reader, p, sizeof(double)));
	m->alpha = ml_read_f64s(reader, checked(reader, outputs, sizeof(double)));
	m->beta = ml_read_f64s(reader, checked(reader, (size_t) outputs * p, sizeof(double)));
	load_inference(reader, m, flags);
	scalars(m, field);
	for (int i = 0; i < N_SCALARS; i++)
		*field[i] = ml_read_f64(reader);
	if (m->sigma < 0 || isinf(m->sigma))
		ml_corrupt("residual standard deviation %g is out of range", m->sigma);
	if (m->df < 0)
		ml_corrupt("%g degrees of freedom", m->df);
	if (m->npath > 0)
		load_path(reader, m, flags);
	return m;
}
