/*
 * names.c - what can be the name of a model, what stands behind it after "@", and
 * what it means to a statement: the first of its predictions decides.
 */
#include "core/acl.h"

#include "access/xact.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#define MAX_MEANT 65536			/* remembered at most, about 18 MB */

static HTAB *meant;
static uint64 undone;

void
ml_catalog_check_name(const char *name)
{
	const char *detail = NULL;

	if (name[0] == '\0')
		detail = "A name cannot be empty.";
	else if (strlen(name) >= NAMEDATALEN)
		detail = "A name has at most 63 bytes.";
	else if (strchr(name, '@') != NULL)
		detail = "\"@\" stands between a name and a version.";
	if (detail != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid model name \"%s\"", name),
				 errdetail_internal("%s", detail)));
}

/* Text after "@" that is no number must look like a name. */
bool
ml_catalog_alias_fits(const char *alias)
{
	return strlen(alias) < NAMEDATALEN && strchr(alias, '@') == NULL &&
		(IS_HIGHBIT_SET(alias[0]) || isalpha((unsigned char) alias[0]) || alias[0] == '_');
}

bool
ml_catalog_split(const char *text, char *name, int *version, char *alias)
{
	const char *at = strchr(text, '@');
	size_t		length = at != NULL ? at - text : strlen(text);

	if (length == 0 || length >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid model name \"%s\"", text),
				 errdetail("A name has 1 to %d bytes.", NAMEDATALEN - 1)));
	memcpy(name, text, length);
	name[length] = '\0';
	*version = ML_CURRENT;
	if (at == NULL)
		return false;
	if (strcmp(at + 1, "champion") == 0)
		return true;
	if (strcmp(at + 1, "challenger") == 0)
	{
		*version = ML_CHALLENGER;
		return true;
	}
	if (ml_catalog_alias_fits(at + 1))
	{
		strlcpy(alias, at + 1, NAMEDATALEN);
		*version = ML_ALIAS;
		return true;
	}
	for (const char *digit = at + 1; *version >= 0; digit++)
	{
		if (*digit == '\0' && *version > 0)
			return true;
		if (*digit < '0' || *digit > '9' ||
			pg_mul_s32_overflow(*version, 10, version) ||
			pg_add_s32_overflow(*version, *digit - '0', version))
			break;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_NAME),
			 errmsg("invalid version in model name \"%s\"", text),
			 errhint("Write a number, \"champion\" (the current version), \"challenger\" or an alias after \"@\".")));
}

/* ---- statements ---- */

void
ml_meant_undone(void)
{
	undone++;
}

void
ml_snapshot_tag(MlSnapshotTag *tag)
{
	memset(tag, 0, sizeof(*tag));
	if (ActiveSnapshotSet())
	{
		Snapshot	snapshot = GetActiveSnapshot();

		/* Running transactions only leave the set below xmax: equal numbers are an equal set. */
		tag->set = true;
		tag->undone = undone;
		tag->xmin = snapshot->xmin;
		tag->xmax = snapshot->xmax;
		tag->xcnt = snapshot->xcnt;
		tag->subxcnt = snapshot->subxcnt;
		tag->curcid = snapshot->curcid;
	}
}

bool
ml_snapshot_same(const MlSnapshotTag *a, const MlSnapshotTag *b)
{
	return a->set && b->set && memcmp(a, b, sizeof(*a)) == 0;
}

/*
 * The entry for what the name means to the current statement, made when there is
 * none; model_id is 0 then.  NULL: there is nothing to remember it by, or no need:
 * the processes of a parallel query read under one snapshot.
 */
MlMeantRow *
ml_meant_find(const char *name, int wanted, const char *alias)
{
	HASHCTL		ctl = {.keysize = sizeof(MlMeantKey), .entrysize = sizeof(MlMeantRow), .hcxt = CacheMemoryContext};
	MlMeantKey	key;
	MlSnapshotTag tag;
	MlMeantRow *row;
	bool		found;

	ml_snapshot_tag(&tag);
	if (IsInParallelMode() || !tag.set)
		return NULL;
	if (meant != NULL && hash_get_num_entries(meant) >= MAX_MEANT)
	{
		hash_destroy(meant);
		meant = NULL;
	}
	if (meant == NULL)
		meant = hash_create("ml_ext meant", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	memset(&key, 0, sizeof(key));
	namestrcpy(&key.name, name);
	if (wanted == ML_ALIAS)
		namestrcpy(&key.alias, alias);
	key.wanted = wanted;
	row = hash_search(meant, &key, HASH_ENTER, &found);
	if (!found || !ml_snapshot_same(&row->tag, &tag))
		row->model_id = row->uses = 0;
	row->tag = tag;
	return row;
}

bool
ml_meant_keep(const char *name, int wanted, const char *alias, MlPrivilege need, MlModelRef *ref)
{
	MlMeantRow *row = ml_meant_find(name, wanted, alias);
	MlMeantRow	seen;
	MlCatalogModel model;

	if (row == NULL || row->model_id == 0 || row->uses == 0 || row->role != GetUserId() || row->need < need ||
		row->statement != GetCurrentStatementStartTimestamp())
		return false;
	seen = *row;
	if (ml_catalog_find_id(seen.model_id, seen.role, &model) && model.level < need)
		return false;
	ml_meant_find(name, wanted, alias)->uses++;
	ref->model_id = seen.model_id;
	ref->version_id = seen.version_id;
	ref->version = seen.version;
	strlcpy(ref->name, name, NAMEDATALEN);
	return true;
}

void
ml_catalog_version_missing(int64 version_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model version with number %lld does not exist", (long long) version_id),
			 errdetail("It was dropped, or its use revoked, after the query was planned.")));
}

void
ml_catalog_changed_columns(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("could not predict with one version of model \"%s\"", name),
			 errdetail("A version with other columns has become current since the query was planned."),
			 errhint("Run the query again.")));
}

void
ml_catalog_stay(const char *text, int64 version_id)
{
	char		name[NAMEDATALEN];
	char		alias[NAMEDATALEN];
	int			wanted;
	MlMeantRow *row;

	ml_catalog_split(text, name, &wanted, alias);
	row = ml_meant_find(name, wanted, alias);
	if (row == NULL || row->version_id == version_id)
		return;
	if (row->uses > 1)
		ml_catalog_changed_columns(name);
	row->version_id = version_id;
}
