/*
 * path.h - elastic-net penalized least squares from cross products.
 *
 *   minimize  1/2 b' C b - g' b + lambda (l1_ratio |b|_1 + (1 - l1_ratio) / 2 |b|_2^2)
 *
 * with C = Z'WZ / n and g = Z'Wu / n.  Pure kernels: no allocation, no server call
 * but `check`.
 */
#ifndef ML_PATH_H
#define ML_PATH_H

#include <stdbool.h>
#include <stddef.h>

typedef struct MlPath
{
	int			p;
	const double *c;			/* p x p, symmetric */
	const double *g;			/* p */
	double		l1_ratio;
	double		tol;			/* largest change of a coefficient in a sweep, times the root of C's diagonal */
	int			max_iter;		/* sweeps a penalty */
	void		(*check) (void);	/* called at least every few milliseconds; NULL: never */
	double	   *work;			/* ml_path_work(p) doubles */
} MlPath;

extern size_t ml_path_work(int p);

/* The smallest penalty at which every coefficient is zero; as glmnet, l1_ratio counts as 0.001 at least. */
extern double ml_path_lambda_max(const MlPath *path);

/* n penalties falling from `max` to `max * ratio` on a log scale. */
extern void ml_path_grid(int n, double max, double ratio, double *lambda);

/*
 * Solves for one penalty.  beta: where to start, and the answer; grad: p doubles,
 * g - C beta on return.  Returns the sweeps made, or -1 when max_iter was not enough.
 */
extern int	ml_path_solve(const MlPath *path, double lambda, double *beta, double *grad);

#endif
