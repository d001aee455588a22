/*
 * sort.h - ascending numbers.
 */
#ifndef ML_SORT_H
#define ML_SORT_H

#include <stddef.h>

/* Sorts x[n], of which none may be NaN, by way of spare[n].  Interrupts are let through. */
extern void ml_sort_doubles(double *x, size_t n, double *spare);

#endif
