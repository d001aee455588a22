/*
 * acl.c - what a role may do with a model.
 *
 * Privileges are levels: manage includes view, view includes predict.  Owners
 * (and roles that have the owner's privileges) and superusers have all.  Who
 * has none gets the answer that a missing model gets.
 */
#include "core/acl.h"

#include "miscadmin.h"
#include "utils/builtins.h"

static const char *const privilege_names[] = {NULL, "predict", "view", "manage"};

const char *
ml_acl_name(MlPrivilege privilege)
{
	return privilege_names[privilege];
}

MlPrivilege
ml_acl_parse(const char *privilege)
{
	for (int i = ML_PREDICT; i <= ML_MANAGE; i++)
	{
		if (strcmp(privilege, privilege_names[i]) == 0)
			return (MlPrivilege) i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized privilege \"%s\"", privilege),
			 errhint("Valid privileges are \"predict\", \"view\" and \"manage\".")));
}

void
ml_acl_missing(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" does not exist", name)));
}

void
ml_acl_require(const MlCatalogModel *model, MlPrivilege need)
{
	if (model->level >= need)
		return;
	if (model->level == ML_NO_PRIVILEGE)
		ml_acl_missing(model->name);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for model \"%s\"", model->name),
			 errdetail("The privilege \"%s\" is needed.", ml_acl_name(need))));
}

/* Tells whether the current user may do something; missing models are models without it. */
ML_FUNCTION(ml_sql_has_privilege)
{
	char		name[NAMEDATALEN];
	char		alias[NAMEDATALEN];
	int			version;
	MlCatalogModel model;
	MlPrivilege need = ml_acl_parse(text_to_cstring(PG_GETARG_TEXT_PP(1)));

	ml_catalog_split(text_to_cstring(PG_GETARG_TEXT_PP(0)), name, &version, alias);
	PG_RETURN_BOOL(ml_catalog_find(name, GetUserId(), &model) && model.level >= need);
}

/* The same by number, for views and row security. */
ML_FUNCTION(ml_sql_has_privilege_id)
{
	MlCatalogModel model;
	MlPrivilege need = ml_acl_parse(text_to_cstring(PG_GETARG_TEXT_PP(1)));

	PG_RETURN_BOOL(ml_catalog_find_id(PG_GETARG_INT64(0), GetUserId(), &model) &&
				   model.level >= need);
}
