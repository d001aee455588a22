/*
 * params.h - parameters given as jsonb, checked against tables of MlParam.
 */
#ifndef ML_PARAMS_H
#define ML_PARAMS_H

#include "core/compat.h"
#include "utils/jsonb.h"
#include "ml.h"

/* Parameters of the core (preprocessing), valid for every algorithm. */
extern const MlParam ml_core_params[];
extern const size_t ml_core_params_size;

/*
 * Parses `given` (may be NULL: all defaults) into two structs at once: the
 * core's (preprocessing; table `core`, may be NULL) and the algorithm's (table
 * `own`).  A key in neither is 22023 with the nearest valid name as hint and
 * all names in the detail; wrong type or range is 22023 with the valid range.
 * The caller provides the structs, of the tables' sizes; every field is set,
 * strings in the current context.  JSON null, like a missing key, is the default.
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

/* Sets every field to its default; NULL, or what is wrong with the table (palloc'd): for the check at load. */
extern char *ml_params_defaults(const MlParam *table, void *out);

/* "bool", "int", ...: as ml.parameters shows the type. */
extern const char *ml_param_type_name(MlParamType type);

/* The candidate nearest to `word` (edit distance <= 1 + length / 3), or NULL. */
extern const char *ml_nearest(const char *word, const char *const *candidates, int n);

#endif
