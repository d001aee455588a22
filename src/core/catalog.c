/*
 * catalog.c - reads the tables of schema ml: names, versions, grants, bytes.
 *
 * Rows are read as the server reads its own catalogs: by an index scan, without
 * SPI, row security or a switch of user, under the newest snapshot, so that a
 * name means what it meant last.  In a parallel query the snapshot that its
 * processes share comes first: they must agree on one version.
 *
 * The tables belong to whoever created the extension, who may alter them; so
 * nothing is taken for granted but looked up (MlTables) and checked once, and
 * again after each relcache invalidation of one of the tables.
 *
 * What was read is kept (`rows`) until something changes: a trigger on the
 * tables sends a relcache invalidation of ml.model, which reaches every backend
 * at commit, ours at the next command or at rollback, and standbys too.  The
 * callback only sets a flag; memory is freed by the next lookup, which is why
 * lookups return rows by value.
 */
#include "core/acl.h"

#include "core/roles.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "common/int.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define MAX_ROWS 65536			/* remembered at most, about 20 MB: six times the 10,000 models of one query */

typedef enum MlTable
{
	T_MODEL, T_VERSION, T_PRIVILEGE, T_ALIAS, T_COUNT
} MlTable;

typedef enum MlField
{
	M_ID, M_NAME, M_OWNER, M_CURRENT,
	V_ID, V_MODEL_ID, V_VERSION, V_MODEL, V_ARCHIVED,
	P_MODEL_ID, P_GRANTEE, P_PRIVILEGE,
	A_MODEL_ID, A_ALIAS, A_VERSION,
	FIELD_COUNT
} MlField;

static const char *const table_names[T_COUNT] = {"model", "version", "privilege", "alias"};

static const struct
{
	MlTable		table;
	const char *name;
	Oid			type;			/* InvalidOid: ml_model */
}			fields[FIELD_COUNT] = {
	{T_MODEL, "model_id", INT8OID},
	{T_MODEL, "name", NAMEOID},
	{T_MODEL, "owner", REGROLEOID},
	{T_MODEL, "current_version", INT4OID},
	{T_VERSION, "version_id", INT8OID},
	{T_VERSION, "model_id", INT8OID},
	{T_VERSION, "version", INT4OID},
	{T_VERSION, "model", InvalidOid},
	{T_VERSION, "archived_at", TIMESTAMPTZOID},
	{T_PRIVILEGE, "model_id", INT8OID},
	{T_PRIVILEGE, "grantee", REGROLEOID},
	{T_PRIVILEGE, "privilege", TEXTOID},
	{T_ALIAS, "model_id", INT8OID},
	{T_ALIAS, "alias", NAMEOID},
	{T_ALIAS, "version", INT4OID}
};

typedef enum MlLookup
{
	BY_MODEL_NAME, BY_MODEL_ID, BY_VERSION_ID, BY_VERSION_NUMBER, BY_PRIVILEGE, BY_ALIAS, LOOKUP_COUNT
} MlLookup;

static const struct
{
	MlTable		table;
	int			nkeys;
	MlField		keys[2];
}			lookups[LOOKUP_COUNT] = {
	{T_MODEL, 1, {M_NAME}},
	{T_MODEL, 1, {M_ID}},
	{T_VERSION, 1, {V_ID}},
	{T_VERSION, 2, {V_MODEL_ID, V_VERSION}},
	{T_PRIVILEGE, 1, {P_MODEL_ID}},
	{T_ALIAS, 2, {A_MODEL_ID, A_ALIAS}}
};

/* What was found and checked; rebuilt when !valid. */
static struct
{
	bool		valid;
	Oid			relation[T_COUNT];
	Oid			owner;
	AttrNumber	attnum[FIELD_COUNT];
	Oid			index[LOOKUP_COUNT];	/* InvalidOid: scan the table */
}			tables;

typedef struct MlGrant
{
	Oid			grantee;
	MlPrivilege privilege;
} MlGrant;

typedef struct MlModelRow
{
	int64		model_id;		/* key */
	NameData	name;
	Oid			owner;
	int			current;
	int			ngrants;
	MlGrant    *grants;
} MlModelRow;

typedef struct MlNameRow
{
	NameData	name;			/* key */
	int64		model_id;
} MlNameRow;

typedef struct MlNumberKey
{
	int64		model_id;
	int64		version;		/* or ML_CHALLENGER */
} MlNumberKey;

typedef struct MlNumberRow
{
	MlNumberKey key;
	int64		version_id;
	int			version;
} MlNumberRow;

typedef struct MlAliasKey
{
	int64		model_id;
	NameData	alias;
} MlAliasKey;

typedef struct MlAliasRow
{
	MlAliasKey	key;
	int			version;		/* 0: there is no such alias */
} MlAliasRow;

typedef struct MlVersionSeen
{
	int64		version_id;		/* key */
	MlCatalogVersion row;
} MlVersionSeen;

/* A name and what stands behind it, as ml_catalog_split takes them apart; no stray bytes. */
typedef struct MlMeantKey
{
	NameData	name;
	NameData	alias;
	int			wanted;
} MlMeantKey;

/* What it meant to the statement with that snapshot. */
typedef struct MlMeantRow
{
	MlMeantKey	key;
	MlSnapshotTag tag;
	int64		model_id;
	int64		version_id;
	int			version;
} MlMeantRow;

static HTAB *meant;

static struct
{
	MemoryContext cxt;
	bool		stale;
	uint64		generation;
	int64		count;
	MlSnapshotTag tag;			/* of the snapshot they were read under, in a parallel query */
	HTAB	   *models;
	HTAB	   *names;
	HTAB	   *numbers;
	HTAB	   *aliases;
	HTAB	   *versions;
}			rows = {.generation = 1};

/* ---- the tables ---- */

static void
altered(MlTable table, const char *column)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"ml.%s\" is not as extension \"ml_ext\" made it", table_names[table]),
			 errdetail("Column \"%s\" is missing, NULL or of another type.", column)));
}

/* The btree index whose first keys are the lookup's, or InvalidOid. */
static Oid
find_index(Relation rel, MlLookup lookup)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *cell;
	Oid			found = InvalidOid;

	foreach(cell, indexes)
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		Form_pg_index form = index->rd_index;
		bool		fits = index->rd_rel->relam == BTREE_AM_OID && form->indisvalid &&
			heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL) &&
			form->indnkeyatts >= lookups[lookup].nkeys;

		for (int k = 0; fits && k < lookups[lookup].nkeys; k++)
		{
			MlField		field = lookups[lookup].keys[k];

			fits = form->indkey.values[k] == tables.attnum[field] &&
				index->rd_opcintype[k] == fields[field].type &&
				(index->rd_opfamily[k] == INTEGER_BTREE_FAM_OID ||
				 index->rd_opfamily[k] == TEXT_BTREE_FAM_OID);
		}
		if (fits)
			found = lfirst_oid(cell);
		index_close(index, AccessShareLock);
		if (fits)
			break;
	}
	list_free(indexes);
	return found;
}

static void
check_table(MlTable table, Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);

	if (rel->rd_rel->relkind != RELKIND_RELATION)
		altered(table, "tableoid");
	for (int f = 0; f < FIELD_COUNT; f++)
	{
		Oid			type = OidIsValid(fields[f].type) ? fields[f].type : ml_model_type();
		AttrNumber	attnum;

		if (fields[f].table != table)
			continue;
		attnum = get_attnum(relid, fields[f].name);
		if (attnum <= 0 || TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid != type)
			altered(table, fields[f].name);
		tables.attnum[f] = attnum;
	}
	for (int l = 0; l < LOOKUP_COUNT; l++)
	{
		if (lookups[l].table == table)
			tables.index[l] = find_index(rel, l);
	}
	tables.relation[table] = relid;
	if (table == T_MODEL)
		tables.owner = rel->rd_rel->relowner;
	table_close(rel, AccessShareLock);
}

/* Finds and checks the tables, unless nothing has changed since the last time. */
static void
find_tables(void)
{
	Oid			extension;
	Oid			schema;
	uint64		generation;

	if (tables.valid)
		return;
	generation = rows.generation;
	extension = get_extension_oid("ml_ext", true);
	if (!OidIsValid(extension))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"ml_ext\" does not exist"),
				 errhint("Run CREATE EXTENSION ml_ext in this database.")));
	schema = get_namespace_oid("ml", true);
	if (!OidIsValid(schema) ||
		getExtensionOfObject(NamespaceRelationId, schema) != extension)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"ml\" does not belong to extension \"ml_ext\""),
				 errhint("Drop and create the extension again, or give its schema its name back.")));
	for (int t = 0; t < T_COUNT; t++)
	{
		Oid			relid = get_relname_relid(table_names[t], schema);

		if (!OidIsValid(relid) ||
			getExtensionOfObject(RelationRelationId, relid) != extension)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("table \"ml.%s\" does not belong to extension \"ml_ext\"", table_names[t])));
		check_table(t, relid);
	}
	if (generation == rows.generation)
		tables.valid = true;
	else
		find_tables();			/* something changed meanwhile */
}

Oid
ml_catalog_relation(void)
{
	find_tables();
	return tables.relation[T_MODEL];
}

Oid
ml_catalog_owner(void)
{
	find_tables();
	return tables.owner;
}

/* Opens a table that has not changed since it was checked. */
static Relation
open_table(MlTable table)
{
	for (;;)
	{
		Relation	rel;

		find_tables();
		rel = try_table_open(tables.relation[table], AccessShareLock);
		if (rel != NULL && tables.valid)
			return rel;
		if (rel != NULL)
			table_close(rel, AccessShareLock);
		tables.valid = false;
	}
}

static Datum
field_value(Relation rel, HeapTuple tuple, MlField field)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, tables.attnum[field], RelationGetDescr(rel), &isnull);

	if (isnull)
		altered(fields[field].table, fields[field].name);
	return value;
}

static bool
field_isnull(Relation rel, HeapTuple tuple, MlField field)
{
	return heap_attisnull(tuple, tables.attnum[field], RelationGetDescr(rel));
}

static SysScanDesc
begin_scan(Relation rel, MlLookup lookup, int nkeys, Datum key, Datum key2, Snapshot snapshot)
{
	ScanKeyData keys[2];
	Datum		values[2] = {key, key2};

	for (int k = 0; k < nkeys; k++)
	{
		MlField		field = lookups[lookup].keys[k];
		RegProcedure equal = fields[field].type == INT8OID ? F_INT8EQ :
			fields[field].type == INT4OID ? F_INT4EQ : F_NAMEEQ;

		ScanKeyInit(&keys[k], tables.attnum[field], BTEqualStrategyNumber, equal, values[k]);
	}
	return systable_beginscan(rel, tables.index[lookup], OidIsValid(tables.index[lookup]),
							  snapshot, nkeys, keys);
}

/* ---- what is remembered ---- */

/* Relcache callback: what is remembered may be old. */
void
ml_catalog_invalidate(Datum arg, Oid relid)
{
	if (tables.valid && OidIsValid(relid))
	{
		int			t = 0;

		while (t < T_COUNT && tables.relation[t] != relid)
			t++;
		if (t == T_COUNT)
			return;
	}
	tables.valid = false;
	rows.stale = true;
	rows.generation++;
}

uint64
ml_catalog_generation(void)
{
	return rows.generation;
}

static HTAB *
create_hash(const char *name, Size keysize, Size entrysize)
{
	HASHCTL		ctl = {.keysize = keysize, .entrysize = entrysize, .hcxt = rows.cxt};

	return hash_create(name, 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
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

/* Forgets rows that may be old, or that this query must not see, and makes room for new ones. */
static void
refresh_rows(void)
{
	MlSnapshotTag tag;

	memset(&tag, 0, sizeof(tag));
	if (IsInParallelMode())
		ml_snapshot_tag(&tag);
	if (rows.cxt != NULL && !rows.stale && rows.count < MAX_ROWS &&
		memcmp(&tag, &rows.tag, sizeof(tag)) == 0)
		return;

	if (rows.cxt != NULL)
		MemoryContextDelete(rows.cxt);
	rows.cxt = NULL;
	rows.cxt = AllocSetContextCreate(CacheMemoryContext, "ml_ext catalog rows", ALLOCSET_DEFAULT_SIZES);
	rows.models = create_hash("ml_ext models", sizeof(int64), sizeof(MlModelRow));
	rows.names = create_hash("ml_ext names", NAMEDATALEN, sizeof(MlNameRow));
	rows.numbers = create_hash("ml_ext version numbers", sizeof(MlNumberKey), sizeof(MlNumberRow));
	rows.aliases = create_hash("ml_ext aliases", sizeof(MlAliasKey), sizeof(MlAliasRow));
	rows.versions = create_hash("ml_ext versions", sizeof(int64), sizeof(MlVersionSeen));
	rows.count = 0;
	memcpy(&rows.tag, &tag, sizeof(tag));
	rows.stale = false;
}

/* The snapshots to try, in order; NULL is the newest. */
static int
snapshots_to_try(Snapshot *list)
{
	int			n = 0;

	if (rows.tag.set)
		list[n++] = GetActiveSnapshot();
	list[n++] = NULL;
	return n;
}

static MlModelRow *
remember_model(Relation rel, HeapTuple tuple, Snapshot snapshot)
{
	int64		model_id = DatumGetInt64(field_value(rel, tuple, M_ID));
	NameData	name = *DatumGetName(field_value(rel, tuple, M_NAME));
	Oid			owner = DatumGetObjectId(field_value(rel, tuple, M_OWNER));
	int			current = DatumGetInt32(field_value(rel, tuple, M_CURRENT));
	Relation	grants_rel = open_table(T_PRIVILEGE);
	SysScanDesc scan = begin_scan(grants_rel, BY_PRIVILEGE, 1, Int64GetDatum(model_id), 0, snapshot);
	int			ngrants = 0;
	int			room = 4;
	MlGrant    *grants = MemoryContextAlloc(rows.cxt, room * sizeof(MlGrant));
	HeapTuple	grant;
	MlModelRow *row;
	MlNameRow  *by_name;

	while (HeapTupleIsValid(grant = systable_getnext(scan)))
	{
		if (ngrants == room)
			grants = repalloc(grants, (room *= 2) * sizeof(MlGrant));
		grants[ngrants].grantee = DatumGetObjectId(field_value(grants_rel, grant, P_GRANTEE));
		grants[ngrants].privilege =
			ml_acl_parse(TextDatumGetCString(field_value(grants_rel, grant, P_PRIVILEGE)));
		ngrants++;
	}
	systable_endscan(scan);
	table_close(grants_rel, AccessShareLock);

	row = hash_search(rows.models, &model_id, HASH_ENTER, NULL);
	row->name = name;
	row->owner = owner;
	row->current = current;
	row->ngrants = ngrants;
	row->grants = grants;
	by_name = hash_search(rows.names, &name, HASH_ENTER, NULL);
	by_name->model_id = model_id;
	rows.count++;
	return row;
}

static MlModelRow *
read_model(MlLookup lookup, Datum key)
{
	Relation	rel = open_table(T_MODEL);
	Snapshot	snapshots[2];
	int			n = snapshots_to_try(snapshots);
	MlModelRow *row = NULL;

	for (int i = 0; i < n && row == NULL; i++)
	{
		SysScanDesc scan = begin_scan(rel, lookup, 1, key, 0, snapshots[i]);
		HeapTuple	tuple = systable_getnext(scan);

		if (HeapTupleIsValid(tuple))
			row = remember_model(rel, tuple, snapshots[i]);
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return row;
}

static MlPrivilege
level_of(const MlModelRow *row, Oid role)
{
	MlPrivilege level = ML_NO_PRIVILEGE;

	if (has_privs_of_role(role, row->owner))	/* of everything, for superusers */
		return ML_MANAGE;
	for (int i = 0; i < row->ngrants; i++)
	{
		if (row->grants[i].privilege > level &&
			(row->grants[i].grantee == ACL_ID_PUBLIC ||
			 has_privs_of_role(role, row->grants[i].grantee)))
			level = row->grants[i].privilege;
	}
	return level;
}

static bool
copy_model(const MlModelRow *row, Oid role, MlCatalogModel *model)
{
	if (row == NULL)
		return false;
	model->model_id = row->model_id;
	strlcpy(model->name, NameStr(row->name), NAMEDATALEN);
	model->owner = row->owner;
	model->current = row->current;
	model->level = level_of(row, role);
	return true;
}

bool
ml_catalog_find(const char *name, Oid role, MlCatalogModel *model)
{
	NameData	key;
	MlNameRow  *by_name;
	MlModelRow *row = NULL;

	refresh_rows();
	namestrcpy(&key, name);
	by_name = hash_search(rows.names, &key, HASH_FIND, NULL);
	if (by_name != NULL)
		row = hash_search(rows.models, &by_name->model_id, HASH_FIND, NULL);
	if (row == NULL)
		row = read_model(BY_MODEL_NAME, NameGetDatum(&key));
	return copy_model(row, role, model);
}

bool
ml_catalog_find_id(int64 model_id, Oid role, MlCatalogModel *model)
{
	MlModelRow *row;

	refresh_rows();
	row = hash_search(rows.models, &model_id, HASH_FIND, NULL);
	if (row == NULL)
		row = read_model(BY_MODEL_ID, Int64GetDatum(model_id));
	return copy_model(row, role, model);
}

bool
ml_catalog_find_version(int64 version_id, MlCatalogVersion *version)
{
	MlVersionSeen *seen;
	Relation	rel;
	Snapshot	snapshots[2];
	bool		found = false;

	refresh_rows();
	seen = hash_search(rows.versions, &version_id, HASH_FIND, NULL);
	if (seen != NULL)
	{
		*version = seen->row;
		return true;
	}
	rel = open_table(T_VERSION);
	for (int i = 0, n = snapshots_to_try(snapshots); i < n && !found; i++)
	{
		SysScanDesc scan = begin_scan(rel, BY_VERSION_ID, 1, Int64GetDatum(version_id), 0, snapshots[i]);
		HeapTuple	tuple = systable_getnext(scan);

		if ((found = HeapTupleIsValid(tuple)))
		{
			memset(version, 0, sizeof(*version));
			version->version_id = version_id;
			version->model_id = DatumGetInt64(field_value(rel, tuple, V_MODEL_ID));
			version->version = DatumGetInt32(field_value(rel, tuple, V_VERSION));
			version->tid = tuple->t_self;
			version->xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
		}
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	if (found)
	{
		seen = hash_search(rows.versions, &version_id, HASH_ENTER, NULL);
		seen->row = *version;
		rows.count++;
	}
	return found;
}

int
ml_catalog_alias(int64 model_id, const char *alias)
{
	MlAliasKey	key;
	MlAliasRow *row;
	Relation	rel;
	Snapshot	snapshots[2];
	int			version = 0;

	refresh_rows();
	memset(&key, 0, sizeof(key));
	key.model_id = model_id;
	namestrcpy(&key.alias, alias);
	row = hash_search(rows.aliases, &key, HASH_FIND, NULL);
	if (row != NULL)
		return row->version;
	rel = open_table(T_ALIAS);
	for (int i = 0, n = snapshots_to_try(snapshots); i < n && version == 0; i++)
	{
		SysScanDesc scan = begin_scan(rel, BY_ALIAS, 2, Int64GetDatum(model_id), NameGetDatum(&key.alias), snapshots[i]);
		HeapTuple	tuple = systable_getnext(scan);

		if (HeapTupleIsValid(tuple))
			version = DatumGetInt32(field_value(rel, tuple, A_VERSION));
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	/* Only one alias that is missing is worth remembering: any text can be asked for. */
	if (version == 0 && strcmp(alias, "challenger") != 0)
		return 0;
	row = hash_search(rows.aliases, &key, HASH_ENTER, NULL);
	row->version = version;
	rows.count++;
	return version;
}

/* A version by its number, or the newest one that is neither current nor archived. */
static bool
find_number(const MlCatalogModel *model, int wanted, MlNumberRow *result)
{
	MlNumberKey key = {model->model_id, wanted};
	MlNumberRow *row = hash_search(rows.numbers, &key, HASH_FIND, NULL);
	Relation	rel;
	Snapshot	snapshots[2];

	if (row != NULL)
	{
		*result = *row;
		return true;
	}
	memset(result, 0, sizeof(*result));
	rel = open_table(T_VERSION);
	for (int i = 0, n = snapshots_to_try(snapshots); i < n && result->version == 0; i++)
	{
		SysScanDesc scan = begin_scan(rel, BY_VERSION_NUMBER, wanted > 0 ? 2 : 1,
									  Int64GetDatum(model->model_id), Int32GetDatum(wanted), snapshots[i]);
		HeapTuple	tuple;

		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			int			version = DatumGetInt32(field_value(rel, tuple, V_VERSION));

			if (version > result->version &&
				(wanted > 0 || (version != model->current && field_isnull(rel, tuple, V_ARCHIVED))))
			{
				result->version = version;
				result->version_id = DatumGetInt64(field_value(rel, tuple, V_ID));
			}
		}
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	if (result->version == 0)
		return false;
	row = hash_search(rows.numbers, &key, HASH_ENTER, NULL);
	row->version_id = result->version_id;
	row->version = result->version;
	rows.count++;
	return true;
}

/* ---- names ---- */

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

/* Which version is meant; false when there is none. */
static bool
resolve_number(const MlCatalogModel *model, int wanted, const char *alias, MlNumberRow *number)
{
	if (wanted == ML_CURRENT)
		wanted = model->current;
	else if (wanted == ML_ALIAS && (wanted = ml_catalog_alias(model->model_id, alias)) == 0)
		return false;
	else if (wanted == ML_CHALLENGER)
	{
		int			chosen = ml_catalog_alias(model->model_id, "challenger");

		wanted = chosen > 0 ? chosen : ML_CHALLENGER;
	}
	return find_number(model, wanted, number);
}

static void
number_missing(const MlCatalogModel *model, int wanted, const char *alias)
{
	if (wanted == ML_CHALLENGER)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no challenger", model->name),
				 errdetail("No version but the current one, %d, is left that is not archived.", model->current)));
	if (wanted == ML_ALIAS)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("model \"%s\" has no alias \"%s\"", model->name, alias)));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model \"%s\" has no version %d", model->name,
					wanted == ML_CURRENT ? model->current : wanted)));
}

/*
 * The entry for what the name means to the current statement, made when there is
 * none; model_id is 0 then.  NULL: there is nothing to remember it by, or no need:
 * the processes of a parallel query read under one snapshot.
 */
static MlMeantRow *
find_meant(const char *name, int wanted, const char *alias)
{
	HASHCTL		ctl = {.keysize = sizeof(MlMeantKey), .entrysize = sizeof(MlMeantRow), .hcxt = CacheMemoryContext};
	MlMeantKey	key;
	MlSnapshotTag tag;
	MlMeantRow *row;
	bool		found;

	ml_snapshot_tag(&tag);
	if (IsInParallelMode() || !tag.set)
		return NULL;
	if (meant != NULL && hash_get_num_entries(meant) >= MAX_ROWS)
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
		row->model_id = 0;
	row->tag = tag;
	return row;
}

static bool
resolve(const char *text, MlPrivilege need, bool missing_ok, bool steady, MlModelRef *ref)
{
	char		name[NAMEDATALEN];
	char		alias[NAMEDATALEN];
	int			wanted;
	MlCatalogModel model;
	MlNumberRow number;
	MlMeantRow *row;

	ml_catalog_split(text, name, &wanted, alias);
	AcceptInvalidationMessages();	/* a transaction that holds its locks hears of no commit otherwise */
	if (!ml_catalog_find(name, GetUserId(), &model) || model.level == ML_NO_PRIVILEGE)
	{
		if (missing_ok)
			return false;
		ml_acl_missing(name);
	}
	ml_acl_require(&model, need);
	row = steady ? find_meant(name, wanted, alias) : NULL;
	if (row != NULL && row->model_id == model.model_id)
	{
		number.version_id = row->version_id;
		number.version = row->version;
	}
	else if (!resolve_number(&model, wanted, alias, &number))
	{
		if (missing_ok)
			return false;
		number_missing(&model, wanted, alias);
	}
	else if (steady && (row = find_meant(name, wanted, alias)) != NULL)	/* the lookup may have used it */
	{
		row->model_id = model.model_id;
		row->version_id = number.version_id;
		row->version = number.version;
	}
	ref->model_id = model.model_id;
	ref->version_id = number.version_id;
	ref->version = number.version;
	strlcpy(ref->name, model.name, NAMEDATALEN);
	return true;
}

bool
ml_catalog_resolve(const char *text, MlPrivilege need, bool missing_ok, MlModelRef *ref)
{
	return resolve(text, need, missing_ok, false, ref);
}

bool
ml_catalog_resolve_steady(const char *text, MlPrivilege need, bool missing_ok, MlModelRef *ref)
{
	return resolve(text, need, missing_ok, true, ref);
}

static void
version_missing(int64 version_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("model version with number %lld does not exist", (long long) version_id),
			 errdetail("It was dropped, or its use revoked, after the query was planned.")));
}

void
ml_catalog_check(int64 version_id, MlPrivilege need)
{
	MlCatalogVersion version;
	MlCatalogModel model;

	AcceptInvalidationMessages();
	if (!ml_catalog_find_version(version_id, &version) ||
		!ml_catalog_find_id(version.model_id, GetUserId(), &model) ||
		model.level == ML_NO_PRIVILEGE)
		version_missing(version_id);
	ml_acl_require(&model, need);
}

int64
ml_catalog_model_of(int64 version_id)
{
	Relation	rel = open_table(T_VERSION);
	int64		model_id = 0;

	for (int i = 0; i < 1 + ActiveSnapshotSet() && model_id == 0; i++)
	{
		SysScanDesc scan = begin_scan(rel, BY_VERSION_ID, 1, Int64GetDatum(version_id), 0,
									  i == 0 ? NULL : GetActiveSnapshot());
		HeapTuple	tuple = systable_getnext(scan);

		if (HeapTupleIsValid(tuple))
			model_id = DatumGetInt64(field_value(rel, tuple, V_MODEL_ID));
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return model_id;
}

/* Also sees a version that was dropped while the query runs whose snapshot still has it. */
struct varlena *
ml_catalog_payload(int64 version_id)
{
	Relation	rel = open_table(T_VERSION);
	struct varlena *value = NULL;

	for (int i = 0; i < 2 && value == NULL; i++)
	{
		SysScanDesc scan;
		HeapTuple	tuple;

		if (i == 1 && !ActiveSnapshotSet())
			break;
		scan = begin_scan(rel, BY_VERSION_ID, 1, Int64GetDatum(version_id), 0,
						  i == 0 ? NULL : GetActiveSnapshot());
		tuple = systable_getnext(scan);
		if (HeapTupleIsValid(tuple))
			value = PG_DETOAST_DATUM_COPY(field_value(rel, tuple, V_MODEL));
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	if (value == NULL)
		version_missing(version_id);
	return value;
}

/* ---- changes ---- */

/* Trigger on the tables: every backend forgets at commit, this one at the end of the command. */
ML_FUNCTION(ml_sql_catalog_changed)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"catalog_changed\" can only be called as a trigger")));
	CacheInvalidateRelcacheByRelid(ml_catalog_relation());
	if (TRIGGER_FIRED_FOR_ROW(((TriggerData *) fcinfo->context)->tg_event))
		ml_roles_changed((TriggerData *) fcinfo->context);
	return PointerGetDatum(NULL);
}
