/*
 * params.h - parameters given as jsonb, checked against tables of MlParam.
 */
#ifndef ML_PARAMS_H
#define ML_PARAMS_H

#include "core/compat.h"
#include "utils/jsonb.h"
#include "ml.h"

/*
 * Parses `given` (may be NULL: all defaults) into two structs at once: the
 * core's (preprocessing; table `core`, may be NULL) and the algorithm's (table
 * `own`).  A key in neither is 22023 with the nearest valid name as hint and
 * all names in the detail; wrong type or range is 22023 with the valid range.
 * The structs are palloc'd in the current context; defaults filled in.
 */
extern void ml_params_parse(Jsonb *given, const char *algorithm,
							const MlParam *core, void *core_out,
							const MlParam *own, void *own_out);

/* The structs back as jsonb, defaults included: what a model stores and shows. */
extern Jsonb *ml_params_to_jsonb(const MlParam *core, const void *core_in,
								 const MlParam *own, const void *own_in);

/* Field access by table, e.g. for "is any penalty set" and "which columns play a role". */
extern const MlParam *ml_param_find(const MlParam *table, const char *name);
extern bool ml_params_penalized(const MlParam *own, const void *in);	/* any PENALTY not zero, "cv" included */
extern bool ml_params_wants_cv(const MlParam *own, const void *in);	/* any PENALTY is "cv" */

/* The candidate nearest to `word` (edit distance <= 1 + length / 3), or NULL. */
extern const char *ml_nearest(const char *word, const char *const *candidates, int n);

#endif
