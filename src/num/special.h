/*
 * special.h - distribution functions, to at least 13 digits over the range where
 * they matter (tails down to 1e-300 included): tested against R.
 */
#ifndef ML_SPECIAL_H
#define ML_SPECIAL_H

extern double ml_normal_cdf(double x);
extern double ml_normal_tail(double x);		/* upper */
extern double ml_normal_quantile(double p);
extern double ml_t_two_sided(double t, double df);	/* P(|T| >= |t|); df may be infinite */
extern double ml_t_quantile(double p, double df);
extern double ml_f_tail(double f, double df1, double df2);	/* upper */
extern double ml_chi2_tail(double x, double df);	/* upper */
extern double ml_chi2_quantile(double p, double df);
extern double ml_gamma_p(double a, double x);	/* regularized lower incomplete gamma */
extern double ml_gamma_q(double a, double x);	/* upper */
extern double ml_beta_inc(double x, double a, double b);	/* regularized incomplete beta */
extern double ml_digamma(double x);
extern double ml_trigamma(double x);

#endif
