/*
 * registry.h - the algorithms compiled in, found by name.
 */
#ifndef ML_REGISTRY_H
#define ML_REGISTRY_H

#include "ml.h"

extern void ml_registry_check(void);	/* at load: every table is complete and consistent */
extern int	ml_registry_count(void);
extern const MlAlgorithm *ml_registry_get(int i);	/* sorted by name */
extern const char *ml_task_name(uint32_t task);	/* "regression", ... */
extern uint32_t ml_task_find(const char *name);	/* 0: there is no such task */
extern const MlAlgorithm *ml_registry_find(const char *name, bool missing_ok);	/* 42704, nearest name as hint */

#endif
