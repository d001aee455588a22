/*
 * source.c - a pass over the data is a query.
 *
 * A source is analysed once, by preparing SELECT * over it; that finds the
 * columns and their types, checks privileges at execution as for any query of
 * the caller, and refuses everything but one SELECT.  Columns are then named by
 * position (s.c1, s.c2, ...), so that no name from outside ever becomes SQL
 * text again.
 *
 * A pass runs to completion with our own DestReceiver: no cursor, no row limit
 * (a limit would turn parallel plans off).  JIT never pays here, and
 * synchronized scans would change the order of rows from run to run; both are
 * off for the time of a pass.
 */
#include "core/source.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "executor/spi_priv.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "tcop/dest.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

#include "core/params.h"

typedef struct MlReceiver
{
	DestReceiver pub;
	const MlSource *source;
	MlRowFunction row;
	void	   *arg;
	int			n;				/* columns wanted */
	MlStoredColumns stored;
	uint64		rows;
	MemoryContext row_context;
} MlReceiver;

/* Settings for one of our passes; undone by AtEOXact_GUC or by abort. */
static int
pass_settings(void)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("synchronize_seqscans", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/* Tells a statement from a relation name by its first word. */
static bool
looks_like_query(const char *text)
{
	static const char *const words[] = {"select", "with", "values", "table"};
	const char *p = text;

	for (;;)
	{
		if (isspace((unsigned char) *p) || *p == '(')
			p++;
		else if (p[0] == '-' && p[1] == '-')
		{
			while (*p && *p != '\n')
				p++;
		}
		else if (p[0] == '/' && p[1] == '*')
		{
			const char *end = strstr(p + 2, "*/");

			p = end ? end + 2 : p + strlen(p);
		}
		else
			break;
	}
	for (int i = 0; i < lengthof(words); i++)
	{
		size_t		len = strlen(words[i]);

		/* neither a longer word nor a schema of that name */
		if (pg_strncasecmp(p, words[i], len) == 0 &&
			p[len] != '\0' && p[len] != '.' && p[len] != '_' && p[len] != '$' &&
			!isalnum((unsigned char) p[len]) && !IS_HIGHBIT_SET(p[len]))
			return true;
	}
	return false;
}

/* Checks that text is exactly one SELECT and returns it without a trailing semicolon. */
static char *
one_select(const char *text)
{
	List	   *parsed = raw_parser(text, RAW_PARSE_DEFAULT);
	RawStmt    *statement;
	SelectStmt *select;
	ListCell   *cell;

	if (list_length(parsed) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("source must be one SELECT, not %d statements", list_length(parsed))));
	statement = linitial_node(RawStmt, parsed);
	if (!IsA(statement->stmt, SelectStmt))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("source must be a relation name or one SELECT")));
	select = (SelectStmt *) statement->stmt;
	if (select->intoClause != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("source must not be SELECT INTO")));
	if (select->withClause != NULL)
	{
		foreach(cell, select->withClause->ctes)
		{
			if (!IsA(lfirst_node(CommonTableExpr, cell)->ctequery, SelectStmt))
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("source must not change data")));
		}
	}
	return pnstrdup(text + statement->stmt_location,
					statement->stmt_len > 0 ? statement->stmt_len
					: strlen(text) - statement->stmt_location);
}

/* Whether every row of the relation has a ctid of its own that a later scan finds again. */
static void
find_position(MlSource *source, Relation rel)
{
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
			source->position = true;
			source->parted = rel->rd_rel->relhassubclass;
			break;
		case RELKIND_PARTITIONED_TABLE:
			source->position = true;
			source->parted = true;
			break;
		default:
			return;
	}
	if (source->parted)
	{
		List	   *children = find_all_inheritors(RelationGetRelid(rel), AccessShareLock, NULL);
		ListCell   *cell;

		foreach(cell, children)
		{
			char		kind = get_rel_relkind(lfirst_oid(cell));

			if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE)
				source->position = false;
		}
	}
}

/*
 * Opens the relation.  A name in capitals that was not quoted, the most frequent
 * reason why there is none, gets a hint.
 */
static Relation
open_named(const MlSource *source, List *names)
{
	RangeVar   *range = makeRangeVarFromNameList(names);
	Relation	rel = relation_openrv_extended(range, AccessShareLock, true);
	RangeVar   *quoted = copyObject(range);
	const char *dot = strrchr(source->text, '.');

	if (rel != NULL)
		return rel;
	quoted->relname = pstrdup(dot != NULL ? dot + 1 : source->text);
	if (pg_strcasecmp(quoted->relname, range->relname) == 0 &&
		OidIsValid(RangeVarGetRelid(quoted, NoLock, true)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist", range->relname),
				 errhint("There is %s: names with capitals want double quotes inside the text.",
						 quote_identifier(quoted->relname))));
	return relation_openrv(range, AccessShareLock);
}

/* FROM item of a relation name. */
static void
open_relation(MlSource *source, StringInfo from)
{
	List	   *parts;
	List	   *names = NIL;
	ListCell   *cell;
	Relation	rel;

	if (!SplitIdentifierString(pstrdup(source->text), '.', &parts) || parts == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("source \"%s\" is neither a relation name nor a SELECT", source->text),
				 errhint("Give a relation name, in double quotes unless it is made of lower-case letters, digits and _, or one SELECT.")));
	foreach(cell, parts)
		names = lappend(names, makeString(pstrdup((char *) lfirst(cell))));
	rel = open_named(source, names);
	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_VIEW &&
		rel->rd_rel->relkind != RELKIND_MATVIEW && rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table, view, materialized view or foreign table",
						RelationGetRelationName(rel))));
	source->relid = RelationGetRelid(rel);
	/* System columns are for those who may read the table, not for those who may read some of its columns. */
	if (pg_class_aclcheck(source->relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		find_position(source, rel);
	appendStringInfoString(from, quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
															RelationGetRelationName(rel)));
	relation_close(rel, NoLock);
}

static SPIPlanPtr
prepare(const char *sql)
{
	SPIPlanPtr	plan = SPI_prepare(sql, 0, NULL);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/* Prepares SELECT * FROM from; the plan lives until SPI_finish. */
static SPIPlanPtr
prepare_all(const char *from)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT * FROM %s AS s", from);
	return prepare(sql.data);
}

/* Whether row security put conditions on a table anywhere in a rewritten query. */
static bool
has_policies(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
		return ((RangeTblEntry *) node)->securityQuals != NIL;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, has_policies, context, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, has_policies, context);
}

MlSource *
ml_source_open(const char *text)
{
	MlSource   *source = palloc0(sizeof(MlSource));
	MemoryContext cxt = CurrentMemoryContext;
	StringInfoData from;
	SPIPlanPtr	plan;
	CachedPlanSource *query;
	CachedPlan *cached;
	TupleDesc	desc;

	source->text = pstrdup(text);
	initStringInfo(&from);
	if (looks_like_query(text))
		appendStringInfo(&from, "(%s\n)", one_select(text));
	else
		open_relation(source, &from);
	source->item = pstrdup(from.data);

	SPI_connect();
	plan = prepare_all(from.data);
	query = linitial(SPI_plan_get_plan_sources(plan));
	desc = query->resultDesc;
	MemoryContextSwitchTo(cxt);
	source->columns = palloc0(Max(desc->natts, 1) * sizeof(MlSourceColumn));
	appendStringInfoString(&from, " AS s (");
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		source->columns[i].name = pstrdup(NameStr(att->attname));
		source->columns[i].type = att->atttypid;
		source->columns[i].typmod = att->atttypmod;
		source->columns[i].collation = att->attcollation;
		appendStringInfo(&from, "%sc%d", i > 0 ? "," : "", i + 1);
	}
	appendStringInfoChar(&from, ')');
	source->ncolumns = desc->natts;
	source->from = from.data;
	if (desc->natts == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("source has no columns")));

	source->row_security = has_policies((Node *) linitial_node(Query, query->query_list), NULL);
	cached = SPI_plan_get_cached_plan(plan);
	if (cached != NULL)
	{
		PlannedStmt *planned = linitial_node(PlannedStmt, cached->stmt_list);
		bool		locks = planned->rowMarks != NIL;

		source->rows_estimate = planned->planTree->plan_rows;
		ReleaseCachedPlan(cached, NULL);
		if (locks)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("source must not lock rows"),
					 errhint("Leave FOR UPDATE or FOR SHARE out.")));
	}
	SPI_finish();
	return source;
}

int
ml_source_find(const MlSource *source, const char *name)
{
	int			found = -1;

	for (int i = 0; i < source->ncolumns; i++)
	{
		if (strcmp(source->columns[i].name, name) != 0)
			continue;
		if (found >= 0)
			ereport(ERROR,
					(errcode(ERRCODE_AMBIGUOUS_COLUMN),
					 errmsg("column \"%s\" appears twice in the source", name)));
		found = i;
	}
	return found;
}

int
ml_source_column(const MlSource *source, const char *name)
{
	int			found = ml_source_find(source, name);
	const char **names;
	const char *near;

	if (found >= 0)
		return found;
	names = palloc(source->ncolumns * sizeof(char *));
	for (int i = 0; i < source->ncolumns; i++)
		names[i] = source->columns[i].name;
	near = ml_nearest(name, names, source->ncolumns);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" does not exist in the source", name),
			 near ? errhint("Did you mean \"%s\"?", near) : 0));
}

void
ml_source_targets(StringInfo sql, const int *columns, int n)
{
	for (int i = 0; i < n; i++)
		appendStringInfo(sql, "%ss.c%d", i > 0 ? ", " : "", columns[i] + 1);
}

/* A row as the plan gives it: columns in front, then ctid and tableoid where they identify rows. */
static bool
receive_projected(TupleTableSlot *slot, DestReceiver *self)
{
	MlReceiver *receiver = (MlReceiver *) self;
	MemoryContext old = MemoryContextSwitchTo(receiver->row_context);
	MlRow		row;

	slot_getallattrs(slot);
	row.values = slot->tts_values;
	row.isnull = slot->tts_isnull;
	row.position = ++receiver->rows;
	if (receiver->source->position)
		row.position = ml_row_position((ItemPointer) DatumGetPointer(slot->tts_values[receiver->n]),
									   receiver->source->parted
									   ? DatumGetObjectId(slot->tts_values[receiver->n + 1]) : 0);
	receiver->row(receiver->arg, &row);
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->row_context);
	return true;
}

/* A row as it lies in its table: nothing has been projected. */
static bool
receive_stored(TupleTableSlot *slot, DestReceiver *self)
{
	MlReceiver *receiver = (MlReceiver *) self;
	MemoryContext old = MemoryContextSwitchTo(receiver->row_context);
	MlRow		row;

	ml_stored_row(&receiver->stored, slot, &row);
	receiver->row(receiver->arg, &row);
	MemoryContextSwitchTo(old);
	MemoryContextReset(receiver->row_context);
	return true;
}

static void
receive_startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
}

static void
receive_end(DestReceiver *self)
{
}

/*
 * Whether a plan hands out the tuples of the source's relation as they are
 * stored: a sequential scan of all columns that the executor need not project
 * (its own test is tlist_matches_tupdesc).  Projecting 20 columns costs as much
 * as half of deforming them.
 */
static bool
scans_stored_tuples(const Plan *plan, const MlSource *source)
{
	Relation	rel;
	bool		stored;

	if (plan == NULL || !IsA(plan, SeqScan))
		return false;
	rel = relation_open(source->relid, NoLock);
	stored = table_slot_callbacks(rel) == &TTSOpsBufferHeapTuple &&
		list_length(plan->targetlist) == RelationGetDescr(rel)->natts;
	for (int i = 0; stored && i < RelationGetDescr(rel)->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		TargetEntry *entry = list_nth_node(TargetEntry, plan->targetlist, i);

		stored = IsA(entry->expr, Var) && ((Var *) entry->expr)->varattno == i + 1 &&
			!att->attisdropped && !att->atthasmissing;
	}
	relation_close(rel, NoLock);
	return stored;
}

/* Whether a plan is such a scan. */
static bool
gives_stored_tuples(SPIPlanPtr plan, const MlSource *source)
{
	CachedPlan *cached = SPI_plan_get_cached_plan(plan);
	bool		stored;

	if (cached == NULL)
		return false;
	stored = scans_stored_tuples(linitial_node(PlannedStmt, cached->stmt_list)->planTree, source);
	ReleaseCachedPlan(cached, NULL);
	return stored;
}

/* What a parallel aggregate without groups reads in each process, or NULL if the plan is none. */
static const Plan *
below_partial_aggregate(const PlannedStmt *planned)
{
	const Plan *plan = planned->planTree;

	if (!IsA(plan, Agg) || plan->lefttree == NULL || !IsA(plan->lefttree, Gather))
		return NULL;
	plan = plan->lefttree->lefttree;
	return IsA(plan, Agg) ? plan->lefttree : NULL;
}

void
ml_stored_columns(MlStoredColumns *stored, const int *columns, int n)
{
	stored->natts = 0;
	stored->nruns = 0;
	stored->runs = palloc(Max(n, 1) * sizeof(MlRun));
	stored->values = palloc(Max(n, 1) * sizeof(Datum));
	stored->isnull = palloc(Max(n, 1) * sizeof(bool));
	for (int i = 0; i < n; i++)
	{
		MlRun	   *last = &stored->runs[stored->nruns - 1];

		if (i > 0 && columns[i] == last->from + last->n)
			last->n++;
		else
			stored->runs[stored->nruns++] = (MlRun) {columns[i], i, 1};
		stored->natts = Max(stored->natts, columns[i] + 1);
	}
}

/* The plan of a pass; sets the receiver up for the rows it will give. */
static SPIPlanPtr
plan_pass(MlReceiver *receiver, const int *columns)
{
	const MlSource *source = receiver->source;
	StringInfoData sql;
	SPIPlanPtr	plan;

	initStringInfo(&sql);
	if (source->position && !source->parted)
	{
		appendStringInfo(&sql, "SELECT * FROM %s", source->from);
		plan = prepare(sql.data);
		if (gives_stored_tuples(plan, source))
		{
			receiver->pub.receiveSlot = receive_stored;
			ml_stored_columns(&receiver->stored, columns, receiver->n);
			return plan;
		}
		resetStringInfo(&sql);
	}
	appendStringInfoString(&sql, "SELECT ");
	ml_source_targets(&sql, columns, receiver->n);
	if (source->position)
		appendStringInfoString(&sql, source->parted ? ", s.ctid, s.tableoid" : ", s.ctid");
	appendStringInfo(&sql, " FROM %s", source->from);
	return prepare(sql.data);
}

void
ml_stream(const MlSource *source, const int *columns, int n, MlRowFunction row, void *arg)
{
	MlReceiver	receiver = {
		{receive_projected, receive_startup, receive_end, receive_end, DestNone}
	};
	SPIExecuteOptions options = {0};
	SPIPlanPtr	plan;
	int			level = pass_settings();
	int			rc;

	receiver.source = source;
	receiver.row = row;
	receiver.arg = arg;
	receiver.n = n;
	receiver.row_context = AllocSetContextCreate(CurrentMemoryContext, "ml_ext row",
												 ALLOCSET_SMALL_SIZES);
	SPI_connect();
	plan = plan_pass(&receiver, columns);
	options.read_only = true;
	options.dest = &receiver.pub;
	rc = SPI_execute_plan_extended(plan, &options);
	if (rc < 0)
		elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(rc));
	SPI_finish();
	MemoryContextDelete(receiver.row_context);
	AtEOXact_GUC(true, level);
}

/* Whether the only output of a query is an aggregate of ours, and no namesake of a nearer type. */
static bool
calls_own_aggregate(SPIPlanPtr plan)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));
	TargetEntry *entry = linitial(linitial_node(Query, source->query_list)->targetList);

	return IsA(entry->expr, Aggref) &&
		getExtensionOfObject(ProcedureRelationId, ((Aggref *) entry->expr)->aggfnoid) ==
		get_extension_oid("ml_ext", false);
}

bool
ml_stream_parallel(const MlSource *source, const char *sql, bool stored, Oid argtype, Datum arg,
				   Datum *result, bool *isnull)
{
	Oid			types[] = {argtype, BOOLOID};
	Datum		args[] = {arg, BoolGetDatum(false)};
	MemoryContext cxt = CurrentMemoryContext;
	int			level = pass_settings();
	SPIPlanPtr	plan;
	CachedPlan *cached;
	bool		parallel = false;

	SPI_connect();
	plan = SPI_prepare_cursor(sql, lengthof(types), types, CURSOR_OPT_PARALLEL_OK | CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor failed: %s", SPI_result_code_string(SPI_result));
	cached = calls_own_aggregate(plan) ? SPI_plan_get_cached_plan(plan) : NULL;
	if (cached != NULL)
	{
		PlannedStmt *planned = linitial_node(PlannedStmt, cached->stmt_list);

		parallel = planned->parallelModeNeeded &&
			(!stored || scans_stored_tuples(below_partial_aggregate(planned), source));
		ReleaseCachedPlan(cached, NULL);
	}
	if (parallel)
	{
		int			rc = SPI_execute_plan(plan, args, NULL, true, 0);
		Datum		value;

		if (rc != SPI_OK_SELECT || SPI_processed != 1)
			elog(ERROR, "aggregate query failed: %s", SPI_result_code_string(rc));
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
		MemoryContextSwitchTo(cxt);
		if (!*isnull)
			*result = datumCopy(value, false, -1);
	}
	SPI_finish();
	AtEOXact_GUC(true, level);
	return parallel;
}
