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
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
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

/* What was found and checked; rebuilt when !valid, a table when it is needed first. */
static struct
{
	bool		valid;
	Oid			extension;
	Oid			schema;
	Oid			relation[T_COUNT];	/* InvalidOid: not checked yet */
	Oid			checking;		/* the one that is checked now, or was last */
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

static struct
{
	MemoryContext cxt;
	bool		stale;
	uint64		generation;
	TimestampTz planned;		/* start of the statement in which a plan was last made */
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

/* The number of a column, 0 if there is none; the descriptor is at hand, the catalog's cache is cold in a new session. */
static AttrNumber
find_column(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return i + 1;
	}
	return 0;
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
		attnum = find_column(RelationGetDescr(rel), fields[f].name);
		if (attnum == 0 || TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid != type)
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

static void
find_schema(void)
{
	tables.extension = get_extension_oid("ml_ext", true);
	if (!OidIsValid(tables.extension))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"ml_ext\" does not exist"),
				 errhint("Run CREATE EXTENSION ml_ext in this database.")));
	tables.schema = get_namespace_oid("ml", true);
	if (!OidIsValid(tables.schema) ||
		getExtensionOfObject(NamespaceRelationId, tables.schema) != tables.extension)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"ml\" does not belong to extension \"ml_ext\""),
				 errhint("Drop and create the extension again, or give its schema its name back.")));
	memset(tables.relation, 0, sizeof(tables.relation));
}

/* Finds and checks a table, unless nothing has changed since the last time. */
static void
find_table(MlTable table)
{
	while (!tables.valid || !OidIsValid(tables.relation[table]))
	{
		uint64		generation = rows.generation;
		Oid			relid;

		if (!tables.valid)
			find_schema();
		relid = get_relname_relid(table_names[table], tables.schema);
		if (!OidIsValid(relid) ||
			getExtensionOfObject(RelationRelationId, relid) != tables.extension)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("table \"ml.%s\" does not belong to extension \"ml_ext\"", table_names[table])));
		tables.checking = relid;
		check_table(table, relid);
		tables.valid = generation == rows.generation;	/* otherwise something changed meanwhile */
	}
}

Oid
ml_catalog_relation(void)
{
	find_table(T_MODEL);
	return tables.relation[T_MODEL];
}

Oid
ml_catalog_owner(void)
{
	find_table(T_MODEL);
	return tables.owner;
}

/* Opens a table that has not changed since it was checked. */
static Relation
open_table(MlTable table)
{
	for (;;)
	{
		Relation	rel;

		find_table(table);
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
		if (t == T_COUNT && relid != tables.checking)
			return;
	}
	tables.valid = false;
	rows.stale = true;
	rows.generation++;

	/* The server tells finished plans; one in the making may have been made with what was remembered. */
	if (rows.planned == GetCurrentStatementStartTimestamp())
		ResetPlanCache();
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

/* The version that an alias names in a snapshot, 0 when there is none. */
static int
scan_alias(int64 model_id, Name alias, Snapshot snapshot)
{
	Relation	rel = open_table(T_ALIAS);
	SysScanDesc scan = begin_scan(rel, BY_ALIAS, 2, Int64GetDatum(model_id), NameGetDatum(alias), snapshot);
	HeapTuple	tuple = systable_getnext(scan);
	int			version = HeapTupleIsValid(tuple) ? DatumGetInt32(field_value(rel, tuple, A_VERSION)) : 0;

	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return version;
}

int
ml_catalog_alias(int64 model_id, const char *alias)
{
	MlAliasKey	key;
	MlAliasRow *row;
	Snapshot	snapshots[2];
	int			version = 0;

	refresh_rows();
	memset(&key, 0, sizeof(key));
	key.model_id = model_id;
	namestrcpy(&key.alias, alias);
	row = hash_search(rows.aliases, &key, HASH_FIND, NULL);
	if (row != NULL)
		return row->version;
	for (int i = 0, n = snapshots_to_try(snapshots); i < n && version == 0; i++)
		version = scan_alias(model_id, &key.alias, snapshots[i]);
	/* Only one alias that is missing is worth remembering: any text can be asked for. */
	if (version == 0 && strcmp(alias, "challenger") != 0)
		return 0;
	row = hash_search(rows.aliases, &key, HASH_ENTER, NULL);
	row->version = version;
	rows.count++;
	return version;
}

/* A version by its number, or the newest one that is neither current nor archived, as a snapshot has them. */
static void
scan_number(Relation rel, int64 model_id, int wanted, int current, Snapshot snapshot, MlNumberRow *result)
{
	SysScanDesc scan = begin_scan(rel, BY_VERSION_NUMBER, wanted > 0 ? 2 : 1,
								  Int64GetDatum(model_id), Int32GetDatum(wanted), snapshot);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		int			version = DatumGetInt32(field_value(rel, tuple, V_VERSION));

		if (version > result->version &&
			(wanted > 0 || (version != current && field_isnull(rel, tuple, V_ARCHIVED))))
		{
			result->version = version;
			result->version_id = DatumGetInt64(field_value(rel, tuple, V_ID));
		}
	}
	systable_endscan(scan);
}

/* The same, remembered. */
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
		scan_number(rel, model->model_id, wanted, model->current, snapshots[i], result);
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

/* Reads what is meant as a snapshot (NULL: the newest) has it; false when it has no such model or version. */
static bool
scan_meant(const MlCatalogModel *model, int wanted, const char *alias, Snapshot snapshot, MlNumberRow *number)
{
	Relation	rel = open_table(T_MODEL);
	SysScanDesc scan = begin_scan(rel, BY_MODEL_ID, 1, Int64GetDatum(model->model_id), 0, snapshot);
	HeapTuple	tuple = systable_getnext(scan);
	int			current = HeapTupleIsValid(tuple) ? DatumGetInt32(field_value(rel, tuple, M_CURRENT)) : 0;
	MlNumberRow found = {0};
	NameData	key;

	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (current == 0)
		return false;
	if (wanted == ML_CURRENT)
		wanted = current;
	else if (wanted == ML_ALIAS || wanted == ML_CHALLENGER)
	{
		int			version;

		namestrcpy(&key, wanted == ML_ALIAS ? alias : "challenger");
		version = scan_alias(model->model_id, &key, snapshot);
		if (version == 0 && wanted == ML_ALIAS)
			return false;
		if (version > 0)
			wanted = version;
	}
	rel = open_table(T_VERSION);
	scan_number(rel, model->model_id, wanted, current, snapshot, &found);
	table_close(rel, AccessShareLock);
	if (found.version > 0)
		*number = found;
	return found.version > 0;
}

/*
 * Whether a plan for that version must be made anew when it is used next: it was made for an old snapshot,
 * and the message that there is another version has come already.
 */
static bool
is_outdated(const MlCatalogModel *model, int wanted, const char *alias, int64 version_id)
{
	MlNumberRow newest = {0};
	bool		found = rows.tag.set ? scan_meant(model, wanted, alias, NULL, &newest) :
		resolve_number(model, wanted, alias, &newest);

	return !found || newest.version_id != version_id;
}

typedef enum MlWhen
{
	NOW, PLANNING, EXECUTING, AGAIN
} MlWhen;

/* A model that the current user may do that with; false: nothing to be seen, and that is no error. */
static bool
find_allowed(const char *name, MlPrivilege need, bool missing_ok, MlCatalogModel *model)
{
	if (!ml_catalog_find(name, GetUserId(), model) || model->level == ML_NO_PRIVILEGE)
	{
		if (missing_ok)
			return false;
		ml_acl_missing(name);
	}
	ml_acl_require(model, need);
	return true;
}

/*
 * A statement's snapshot decides, not what is remembered: a commit can be seen by
 * snapshots a moment before its message comes.  What the snapshot lacks is newer
 * (the newest is meant then), or has been dropped (so what is remembered is old).
 */
static bool
resolve(const char *text, MlPrivilege need, bool missing_ok, MlWhen when, MlModelRef *ref)
{
	char		name[NAMEDATALEN];
	char		alias[NAMEDATALEN];
	int			wanted;
	MlCatalogModel model;
	MlNumberRow number = {0};
	MlMeantRow *row;

	ml_catalog_split(text, name, &wanted, alias);
	if (when == PLANNING)
		rows.planned = GetCurrentStatementStartTimestamp();
	AcceptInvalidationMessages();	/* a transaction that holds its locks hears of no commit otherwise */
	for (bool fresh = false;; fresh = true)
	{
		if (!find_allowed(name, need, missing_ok, &model))
			return false;
		row = when == NOW ? NULL : ml_meant_find(name, wanted, alias);
		if (row != NULL && row->model_id == model.model_id && when != AGAIN)
		{
			number.version_id = row->version_id;
			number.version = row->version;
			break;
		}
		if (row != NULL && scan_meant(&model, wanted, alias, GetActiveSnapshot(), &number))
			break;
		if (row == NULL || fresh)
		{
			if (resolve_number(&model, wanted, alias, &number))
				break;
			if (missing_ok)
				return false;
			number_missing(&model, wanted, alias);
		}
		rows.stale = true;
	}
	if (when == PLANNING && is_outdated(&model, wanted, alias, number.version_id))
		ResetPlanCache();		/* the plan in the making, too */
	/* The lookups may have run code that used it. */
	if (when != NOW && (row = ml_meant_find(name, wanted, alias)) != NULL)
	{
		row->uses += when == EXECUTING;	/* AGAIN is the same call */
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
	return resolve(text, need, missing_ok, NOW, ref);
}

bool
ml_catalog_resolve_plan(const char *text, MlPrivilege need, MlModelRef *ref)
{
	return resolve(text, need, true, PLANNING, ref);
}

void
ml_catalog_resolve_again(const char *text, MlPrivilege need, MlModelRef *ref)
{
	rows.stale = true;			/* what is remembered has misled */
	resolve(text, need, false, AGAIN, ref);
}

void
ml_catalog_resolve_query(const char *text, MlPrivilege need, MlModelRef *ref)
{
	resolve(text, need, false, EXECUTING, ref);
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
ml_catalog_check(int64 version_id, MlPrivilege need)
{
	MlCatalogVersion version;
	MlCatalogModel model;

	AcceptInvalidationMessages();
	if (!ml_catalog_find_version(version_id, &version) ||
		!ml_catalog_find_id(version.model_id, GetUserId(), &model) ||
		model.level == ML_NO_PRIVILEGE)
		ml_catalog_version_missing(version_id);
	ml_acl_require(&model, need);
}

/* Also sees a version that was dropped while the query runs whose snapshot still has it. */
struct varlena *
ml_catalog_value_if_any(int64 version_id, int64 wanted, bool head, int64 *model_id)
{
	Relation	rel = open_table(T_VERSION);
	struct varlena *value = NULL;
	bool		found = false;

	for (int i = 0; i < 1 + ActiveSnapshotSet() && !found; i++)
	{
		SysScanDesc scan = begin_scan(rel, BY_VERSION_ID, 1, Int64GetDatum(version_id), 0,
									  i == 0 ? NULL : GetActiveSnapshot());
		HeapTuple	tuple = systable_getnext(scan);

		if ((found = HeapTupleIsValid(tuple)))
		{
			*model_id = DatumGetInt64(field_value(rel, tuple, V_MODEL_ID));
			if (wanted == 0 || wanted == *model_id)
			{
				Datum		stored = field_value(rel, tuple, V_MODEL);

				value = head ? ml_model_head(stored) : PG_DETOAST_DATUM_COPY(stored);
			}
		}
		systable_endscan(scan);
	}
	table_close(rel, AccessShareLock);
	return value;
}

struct varlena *
ml_catalog_payload(int64 version_id)
{
	int64		model_id;
	struct varlena *value = ml_catalog_value_if_any(version_id, 0, false, &model_id);

	if (value == NULL)
		ml_catalog_version_missing(version_id);
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
