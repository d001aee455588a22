/*
 * newton.h - minimisers whose function is evaluated by passes over rows.
 *
 * The caller evaluates f at the point that lies in the carry, hands value,
 * gradient and (Newton) Hessian over, and gets the next point or a verdict.
 * Everything remembered between two passes lies in the carry, a flat array.
 */
#ifndef ML_NEWTON_H
#define ML_NEWTON_H

#include <stdbool.h>
#include <stddef.h>

#include "ml.h"

typedef enum MlVerdict
{
	ML_VERDICT_AGAIN,			/* evaluate at the new point */
	ML_VERDICT_CONVERGED,
	ML_VERDICT_DIVERGING,		/* gradient vanishes while the steps do not: no finite minimum */
	ML_VERDICT_STALLED,			/* no step length lowers the objective */
	ML_VERDICT_LIMIT			/* max_iter passes */
} MlVerdict;

/*
 * Standard errors are exact up to so many rows.  Above, a pass more costs too much
 * for their digits past the fifth: their own sampling error is 1/sqrt(2 rows).
 */
#define ML_CONFIRM_ROWS 131072

/*
 * The gradient to stop at, relative.  What is only measured or started from need
 * not go below 1e-6: objective and metrics are wrong by its square.
 */
#define ML_DRAFT_TOL 1e-6

/*
 * Steps that are equal but for rounding: of two columns that diverge alike the
 * first is named, whatever the compiler made of the sums.
 */
#define ML_SAME_STEP 0.9
static inline double
ml_newton_tol(const MlProblem *problem, double tol)
{
	return problem->draft && tol < ML_DRAFT_TOL ? ML_DRAFT_TOL : tol;
}

/* Slots at the head of the carry that belong to the caller. */
#define ML_CARRY_USER 8
#define ML_CARRY_HEAD 16

typedef struct MlDescent
{
	int			q;				/* unknowns */
	double		value;			/* smooth part at the point; infinite or NaN: not a valid point */
	const double *gradient;		/* q, of the smooth part */
	double	   *hessian;		/* q x q, overwritten; not used by ml_lbfgs_advance */
	const double *l1;			/* q penalties on |x|, or NULL */
	const double *l2;			/* q penalties on x^2 / 2, or NULL */
	const double *unit;			/* q: x * unit is of the order of the predictor; steps are judged in it */
	const bool *fixed;			/* q: stays at zero, or NULL */
	double		value_noise;	/* absolute rounding error of F, which matters where F goes to zero */
	double		gradient_tol;	/* largest |gradient| to stop at, absolute */
	double		step_tol;		/* largest step to stop at, relative to max(size, largest |x|) */
	double		size;			/* natural size of the predictor: 1 for a log or logit, 0: it has units,
								 * and no step is large by itself (no ML_VERDICT_DIVERGING) */
	int			pass;
	int			max_iter;
	bool		confirm;		/* after the last step one pass more: the Hessian is wanted at the answer */

	/* set by advance */
	double		objective;		/* at the accepted point, penalties included */
	double		gradient_max;	/* at the accepted point, optimal subgradient with l1 */
	double		step;			/* last relative step */
	int			worst;			/* the first unknown with about the largest step */
} MlDescent;

extern size_t ml_newton_carry_size(int q);

/* The point to evaluate at: q numbers inside the carry. */
#define ml_carry_point(carry) ((carry) + ML_CARRY_HEAD)

/*
 * Takes one (proximal) Newton step with step halving.  `old` is the carry of
 * this pass or NULL (the point is zero); `carry` gets the next one, whose point
 * is the answer unless the verdict is ML_VERDICT_AGAIN.
 */
extern MlVerdict ml_newton_advance(MlDescent *problem, const double *old, double *carry);

/* The direction of the last step taken, q numbers inside the carry. */
extern const double *ml_newton_direction(const double *carry, int q);

/* As above with limited memory BFGS: needs no Hessian. */
extern size_t ml_lbfgs_carry_size(int q);
extern MlVerdict ml_lbfgs_advance(MlDescent *problem, const double *old, double *carry);

/*
 * Marks columns of the Gram matrix h (d x d) that depend on earlier ones: what
 * is left of their square after projection is below tol times the square.
 */
extern void ml_newton_alias(int d, const double *h, double tol, bool *aliased);

/*
 * Solves h x = b for the columns not fixed (x is zero there); h is overwritten.
 * False only for a matrix that no ridge makes positive definite (infinities).
 */
extern bool ml_newton_solve(int q, double *h, const bool *fixed, const double *b, double *x);

/* Whether h without the fixed rows and columns is positive definite; h is overwritten. */
extern bool ml_newton_definite(int q, double *h, const bool *fixed);

/* Inverts h in place without the fixed rows and columns, which become zero; false when singular. */
extern bool ml_newton_covariance(int q, double *h, const bool *fixed);

#endif
