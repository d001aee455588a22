/*
 * path.c - coordinate descent with covariance updates (Friedman, Hastie and
 * Tibshirani 2010, Regularization Paths for Generalized Linear Models via
 * Coordinate Descent, section 2.2), finished by an active-set step.
 *
 * Coordinate descent finds quickly which coefficients are not zero and then
 * creeps when columns are correlated.  With signs s and support A known the
 * answer solves (C_AA + l2 I) b = g_A - l1 s: a Cholesky step gets there at
 * once.  Where it would turn a sign, the step ends at the first zero and that
 * coefficient leaves; the objective falls in any case.  The sweep over all
 * columns that follows decides whether the answer holds.
 */
#include "num/path.h"

#include <math.h>
#include <string.h>

#include "num/dense.h"

#define FIRST_STEP 5			/* sweeps before a Cholesky step: well-conditioned problems are done by then */
#define SINGULAR 1e-11			/* pivot, relative to the diagonal, that is taken for zero */
#define CHECK_FLOPS 4e6			/* between two calls of check: a few milliseconds */

typedef struct Solver
{
	const MlPath *path;
	double		l1;
	double		l2;
	double	   *beta;
	double	   *grad;
	double		flops;
} Solver;

size_t
ml_path_work(int p)
{
	return (size_t) p * p + 3 * (size_t) p + 1;
}

double
ml_path_lambda_max(const MlPath *path)
{
	double		max = 0.0;

	for (int j = 0; j < path->p; j++)
		if (path->c[j + (size_t) j * path->p] > 0.0)
			max = fmax(max, fabs(path->g[j]));
	return max / fmax(path->l1_ratio, 1e-3);
}

void
ml_path_grid(int n, double max, double ratio, double *lambda)
{
	for (int i = 0; i < n; i++)
		lambda[i] = n == 1 ? max : max * pow(ratio, (double) i / (n - 1));
}

static void
count(Solver *s, double flops)
{
	s->flops += flops;
	if (s->flops > CHECK_FLOPS && s->path->check)
	{
		s->flops = 0.0;
		s->path->check();
	}
}

/* Computes grad = g - C beta anew. */
static void
refresh(Solver *s)
{
	int			p = s->path->p;

	memcpy(s->grad, s->path->g, sizeof(double) * p);
	for (int j = 0; j < p; j++)
		if (s->beta[j] != 0.0)
		{
			const double *c = s->path->c + (size_t) j * p;

			for (int i = 0; i < p; i++)
				s->grad[i] -= c[i] * s->beta[j];
			count(s, p);
		}
}

/* Minimizes over each coordinate in turn; returns the largest change, in units of the target. */
static double
sweep(Solver *s, bool all)
{
	int			p = s->path->p;
	double		largest = 0.0;

	for (int j = 0; j < p; j++)
	{
		const double *c = s->path->c + (size_t) j * p;
		double		old = s->beta[j];
		double		u;
		double		delta;

		if (!all && old == 0.0)
			continue;
		if (!(c[j] > 0.0))
		{
			s->beta[j] = 0.0;
			continue;
		}
		u = s->grad[j] + c[j] * old;
		u = u > s->l1 ? u - s->l1 : u < -s->l1 ? u + s->l1 : 0.0;
		delta = u / (c[j] + s->l2) - old;
		if (delta == 0.0)
			continue;
		s->beta[j] = old + delta;
		if (u == 0.0)
			s->beta[j] = 0.0;
		for (int i = 0; i < p; i++)
			s->grad[i] -= c[i] * delta;
		largest = fmax(largest, fabs(delta) * sqrt(c[j]));
		count(s, p);
	}
	count(s, p);
	return largest;
}

/*
 * Goes to the minimum over the present support and signs, or to where the first
 * coefficient reaches zero.  Returns false when the system is singular.
 */
static bool
active_step(Solver *s)
{
	int			p = s->path->p;
	double	   *mat = s->path->work;
	double	   *target = mat + (size_t) p * p;
	double	   *index = target + p;
	double		step = 1.0;
	int			m = 0;
	int			leaves = -1;

	for (int j = 0; j < p; j++)
		if (s->beta[j] != 0.0)
		{
			target[m] = s->path->g[j] - (s->beta[j] > 0.0 ? s->l1 : -s->l1);
			index[m++] = j;
		}
	for (int a = 0; a < m; a++)
	{
		const double *c = s->path->c + (size_t) index[a] * p;

		for (int b = 0; b < m; b++)
			mat[b + (size_t) a * m] = c[(int) index[b]];
		mat[a + (size_t) a * m] += s->l2;
	}
	if (!ml_cholesky(m, mat))
		return false;
	for (int a = 0; a < m; a++)
	{
		int			j = index[a];
		double		pivot = mat[a + (size_t) a * m];

		if (pivot * pivot < SINGULAR * (s->path->c[j + (size_t) j * p] + s->l2))
			return false;
	}
	ml_cholesky_solve(m, 1, mat, target);
	count(s, (double) m * m * m / 16.0);	/* Cholesky runs that much faster than a sweep */
	for (int a = 0; a < m; a++)
	{
		double		old = s->beta[(int) index[a]];

		if (target[a] * old <= 0.0 && old / (old - target[a]) < step)
		{
			step = old / (old - target[a]);
			leaves = index[a];
		}
	}
	for (int a = 0; a < m; a++)
	{
		int			j = index[a];

		s->beta[j] = step == 1.0 ? target[a] : s->beta[j] + step * (target[a] - s->beta[j]);
	}
	if (leaves >= 0)
		s->beta[leaves] = 0.0;
	refresh(s);
	return true;
}

int
ml_path_solve(const MlPath *path, double lambda, double *beta, double *grad)
{
	Solver		s = {path, lambda * path->l1_ratio, lambda * (1.0 - path->l1_ratio), beta, grad, 0.0};
	int			wait = FIRST_STEP;
	int			since = 0;

	refresh(&s);
	for (int iter = 1; iter <= path->max_iter; iter++)
	{
		bool		all = since == 0;
		double		change = sweep(&s, all);
		int			active = 0;

		if (change < path->tol)
		{
			if (all)
				return iter;
			since = 0;			/* the support is settled: look at the others */
			continue;
		}
		if (++since < wait)
			continue;
		for (int j = 0; j < path->p; j++)
			active += beta[j] != 0.0;
		/* wait until the sweeps made cost as much as the step */
		if ((double) since * path->p * 48.0 < (double) active * active)
			continue;
		if (!active_step(&s))
			wait = wait < path->max_iter / 2 ? wait * 2 : wait;
		since = 0;
	}
	return -1;
}
