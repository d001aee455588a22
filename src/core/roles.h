/*
 * roles.h - roles that models belong to or are granted to cannot be dropped.
 */
#ifndef ML_ROLES_H
#define ML_ROLES_H

#include "core/compat.h"
#include "commands/trigger.h"

/* For a row trigger on ml.model or ml.privilege: the roles in its old and new row. */
extern void ml_roles_changed(const TriggerData *trigger);

/* Makes the server know what schema ml says of a role. */
extern void ml_role_sync(Oid role);

/* Whether the server knows that the role is needed; true for those that cannot be dropped anyway. */
extern bool ml_role_known(Oid role);

#endif
