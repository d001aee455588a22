/*
 * support.c - the planner's help for predictions.
 *
 * A whole row as an argument costs the making of a row for each call, and hides
 * which columns are used.  When a plan is made and both the model and the shape
 * of the row are known, ml_predict('churn', t) is therefore written as
 * ml_predict_columns(version, 'churn', '{age,balance,...}', t.age, t.balance, ...),
 * with just the columns of the model in its order; likewise ml_classify,
 * ml_probability and ml_probabilities.
 *
 * Whatever cannot be rewritten without a change of meaning is left alone, and
 * what is wrong with it is said when it runs:
 *
 * - a row that may be NULL as a whole (the nullable side of an outer join, a
 *   grouping set) gives NULL, which its columns could not say;
 * - a row without a column of the model, or with two of that name;
 * - a model that the current user may not use;
 * - fields of a ROW(...) with side effects that the model does not need.
 *
 * A plan made with a name depends on the catalog of models, rewritten or not,
 * so it is made anew when a model changes.  The name is looked up and privileges
 * are checked again when the rewritten call runs, since another role may run the
 * plan, and a model may change between planning and execution.
 */
#include "core/compat.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/cache.h"
#include "core/catalog.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

/* The columns of a row expression, in step; a dropped one has the name "". */
typedef struct RowColumns
{
	List	   *names;			/* of char * */
	List	   *exprs;			/* of Node * */
	bool		prunes;			/* the expressions are evaluated if and only if used: fields of a ROW */
} RowColumns;

static bool row_columns(PlannerInfo *root, Node *row, RowColumns *out);

/* Can an outer join put NULLs in place of the relation's rows? */
static bool
is_nullable(Node *jointree, int varno, bool below)
{
	if (jointree == NULL)
		return false;
	if (IsA(jointree, RangeTblRef))
		return below && ((RangeTblRef *) jointree)->rtindex == varno;
	if (IsA(jointree, FromExpr))
	{
		ListCell   *lc;

		foreach(lc, ((FromExpr *) jointree)->fromlist)
			if (is_nullable(lfirst(lc), varno, below))
				return true;
		return false;
	}
	if (IsA(jointree, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) jointree;
		bool		left = join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL;
		bool		right = join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL;

		return is_nullable(join->larg, varno, below || left) ||
			is_nullable(join->rarg, varno, below || right);
	}
	return false;
}

/* Names of a named row type, "" for dropped columns. */
static List *
type_names(Oid type)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc_domain(type, -1, false);
	List	   *names = NIL;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		names = lappend(names, pstrdup(att->attisdropped ? "" : NameStr(att->attname)));
	}
	ReleaseTupleDesc(tupdesc);
	return names;
}

static List *
value_names(List *values)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, values)
		names = lappend(names, strVal(lfirst(lc)));
	return names;
}

/* A generated column that is not stored must be expanded by the planner itself. */
static bool
has_virtual_column(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TupleDesc	tupdesc = RelationGetDescr(rel);
	bool		found = false;

	for (int i = 0; i < tupdesc->natts && !found; i++)
		found = TupleDescAttr(tupdesc, i)->attgenerated == 'v';
	table_close(rel, AccessShareLock);
	return found;
}

/* A whole-row reference to a relation, subquery, function, VALUES or CTE. */
static bool
var_columns(PlannerInfo *root, Var *var, RowColumns *out)
{
	RangeTblEntry *rte;
	List	   *names;

	for (int up = var->varlevelsup; up > 0 && root != NULL; up--)
		root = root->parent_root;

	/*
	 * Once a query level is past preprocessing, which columns its scans give
	 * is settled: a lateral subquery cannot ask for more.
	 */
	if (root == NULL || root->simple_rel_array != NULL || root->parse->groupingSets != NIL ||
		var->varattno != InvalidAttrNumber || IS_SPECIAL_VARNO(var->varno) || ml_var_nulled(var) ||
		is_nullable((Node *) root->parse->jointree, var->varno, false))
		return false;
	rte = rt_fetch(var->varno, root->parse->rtable);
	if (rte->rtekind == RTE_JOIN ||
		(rte->rtekind == RTE_RELATION && has_virtual_column(rte->relid)))
		return false;
	ml_expand_rte(rte, var, var->vartype != RECORDOID, &names, &out->exprs);
	out->names = var->vartype == RECORDOID ? value_names(names) : type_names(var->vartype);
	out->prunes = false;
	return list_length(out->names) == list_length(out->exprs);
}

static bool
rowexpr_columns(RowExpr *row, RowColumns *out)
{
	out->names = row->row_typeid == RECORDOID ? value_names(row->colnames) : type_names(row->row_typeid);
	out->exprs = row->args;
	out->prunes = true;
	return list_length(out->names) == list_length(out->exprs);
}

/* A row of one type as a row of another, as of a partition and its parent: by name. */
static bool
converted_columns(PlannerInfo *root, ConvertRowtypeExpr *convert, RowColumns *out)
{
	RowColumns	inner;
	ListCell   *lc;

	if (!row_columns(root, (Node *) convert->arg, &inner))
		return false;
	out->names = type_names(convert->resulttype);
	out->exprs = NIL;
	out->prunes = inner.prunes;
	foreach(lc, out->names)
	{
		Node	   *found = NULL;
		ListCell   *ln;
		ListCell   *le;

		forboth(ln, inner.names, le, inner.exprs)
		{
			if (((char *) lfirst(lc))[0] != '\0' && strcmp(lfirst(ln), lfirst(lc)) == 0)
				found = lfirst(le);
		}
		if (found == NULL && ((char *) lfirst(lc))[0] != '\0')
			return false;
		out->exprs = lappend(out->exprs, found);
	}
	return true;
}

/* Takes a row expression apart; false when its columns are not known here. */
static bool
row_columns(PlannerInfo *root, Node *row, RowColumns *out)
{
	if (IsA(row, Var))
		return var_columns(root, (Var *) row, out);
	if (IsA(row, RowExpr))
		return rowexpr_columns((RowExpr *) row, out);
	if (IsA(row, ConvertRowtypeExpr))
		return converted_columns(root, (ConvertRowtypeExpr *) row, out);
	return false;
}

/* Would leaving this field out be noticed? */
static bool
has_effects(Node *field)
{
	return contain_volatile_functions(field) || expression_returns_set(field);
}

/* The model's columns among those of the row, in the model's order; false unless each is there once. */
static bool
pick_columns(const MlSchema *schema, const RowColumns *row, List **picked)
{
	Bitmapset  *used = NULL;

	*picked = NIL;
	for (int i = 0; i < schema->ncolumns; i++)
	{
		int			found = -1;
		int			at = 0;
		ListCell   *lc;

		foreach(lc, row->names)
		{
			if (((char *) lfirst(lc))[0] != '\0' && strcmp(lfirst(lc), schema->columns[i].name) == 0)
			{
				if (found >= 0)
					return false;
				found = at;
			}
			at++;
		}
		if (found < 0)
			return false;
		used = bms_add_member(used, found);
		*picked = lappend(*picked, copyObject(list_nth(row->exprs, found)));
	}
	for (int i = 0; row->prunes && i < list_length(row->exprs); i++)
		if (!bms_is_member(i, used) && has_effects(list_nth(row->exprs, i)))
			return false;
	return true;
}

/*
 * The function beside `funcid` that takes columns: of the same schema, with
 * "_columns" behind its name.
 */
static Oid
columns_function(Oid funcid, Oid model_type, bool has_class)
{
	Oid			types[5];
	int			n = 0;
	char	   *schema = get_namespace_name(get_func_namespace(funcid));
	char	   *name = get_func_name(funcid);
	List	   *path;

	if (schema == NULL || name == NULL)
		return InvalidOid;
	types[n++] = model_type;
	if (model_type == INT8OID)
		types[n++] = TEXTOID;
	if (has_class)
		types[n++] = TEXTOID;
	if (model_type == INT8OID)
		types[n++] = TEXTARRAYOID;
	types[n++] = ANYOID;
	path = list_make2(makeString(schema), makeString(psprintf("%s_columns", name)));
	return LookupFuncName(path, n, types, true);
}

/*
 * The model that a constant names, its columns, and the constant that the
 * rewritten call has in its place.  NULL: not to be had, for now or this user.
 */
static const MlModel *
plan_model(PlannerInfo *root, Const *given, MemoryContext cxt, Const **instead)
{
	MlModelRef	ref;

	if (given->consttype != TEXTOID)
	{
		*instead = given;
		return ml_cache_value(PG_DETOAST_DATUM(given->constvalue), cxt);
	}
	root->glob->relationOids = list_append_unique_oid(root->glob->relationOids, ml_catalog_relation());
	if (!ml_catalog_resolve_plan(TextDatumGetCString(given->constvalue), ML_PREDICT, &ref))
		return NULL;
	*instead = makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
						 Int64GetDatum(ref.version_id), false, FLOAT8PASSBYVAL);
	return ml_cache_readable(ref.version_id, ref.model_id, true, cxt);
}

/* The names of the model's columns as a constant. */
static Node *
column_names(const MlSchema *schema)
{
	Datum	   *names = palloc(Max(schema->ncolumns, 1) * sizeof(Datum));

	for (int i = 0; i < schema->ncolumns; i++)
		names[i] = CStringGetTextDatum(schema->columns[i].name);
	return (Node *) makeConst(TEXTARRAYOID, -1, DEFAULT_COLLATION_OID, -1,
							  PointerGetDatum(construct_array(names, schema->ncolumns, TEXTOID, -1, false, TYPALIGN_INT)),
							  false, false);
}

static bool
may_execute(Oid funcid)
{
	return ml_function_aclcheck(funcid, GetUserId()) == ACLCHECK_OK;
}

static Node *
rewrite_call(PlannerInfo *root, FuncExpr *call, MemoryContext cxt)
{
	Const	   *given = linitial(call->args);
	Const	   *instead;
	const MlModel *model;
	const MlSchema *schema;
	RowColumns	row;
	List	   *args;
	bool		has_class = list_length(call->args) > 2;
	bool		named;
	Oid			columns;

	if (!IsA(given, Const) || given->constisnull)
		return NULL;
	model = plan_model(root, given, cxt, &instead);
	if (model == NULL)
		return NULL;
	schema = model->encoder->schema;
	named = instead->consttype == INT8OID;
	if (schema->ncolumns + 1 + has_class + 2 * named > FUNC_MAX_ARGS ||
		!row_columns(root, lsecond(call->args), &row) ||
		!pick_columns(schema, &row, &args))
		return NULL;
	columns = columns_function(call->funcid, instead->consttype, has_class);
	if (!OidIsValid(columns) || !may_execute(call->funcid))
		return NULL;
	if (named)
		args = lcons(column_names(schema), args);
	if (has_class)
		args = lcons(lthird(call->args), args);
	if (named)
		args = lcons(given, args);
	args = lcons(instead, args);
	return (Node *) makeFuncExpr(columns, call->funcresulttype, args,
								 call->funccollid, call->inputcollid, COERCE_EXPLICIT_CALL);
}

ML_FUNCTION(ml_sql_predict_support)
{
	SupportRequestSimplify *request = (SupportRequestSimplify *) PG_GETARG_POINTER(0);
	MemoryContext pin;
	Node	   *result;

	if (!IsA(request, SupportRequestSimplify) || request->root == NULL || request->root->glob == NULL)
		PG_RETURN_POINTER(NULL);
	pin = AllocSetContextCreate(CurrentMemoryContext, "ml_ext planning", ALLOCSET_SMALL_SIZES);
	result = rewrite_call(request->root, request->fcall, pin);
	MemoryContextDelete(pin);
	PG_RETURN_POINTER(result);
}
