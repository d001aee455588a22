/*
 * audit.h - who did what to which model: rows of ml.audit_log, which the view
 * ml.audit shows to those whom they concern.
 */
#ifndef ML_AUDIT_H
#define ML_AUDIT_H

#include "core/compat.h"

/*
 * Writes one row in the current transaction, for the current user, so not inside
 * ml_owner_begin ... ml_owner_end.  version 0: of the whole model; detail: a JSON
 * object, or NULL.  Actions are listed in audit.sql.
 * On a standby, where nothing can be written, the server's log gets the row.
 */
extern void ml_audit(const char *action, int64 model_id, const char *name, int version, const char *detail);

#endif
