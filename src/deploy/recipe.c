/*
 * recipe.c - reads how a version was trained.
 *
 * The source of a recipe is SQL that somebody wrote and that somebody else would
 * run with his own rights.  So it is used only by the role that gave it: that trained
 * the version, as the audit says, rather than updated or imported it; and only
 * where the tables that keep it belong to a superuser or to that role: another
 * owner could have put his own text there.  Everybody else names the source.
 *
 * Of an imported version the recipe is what its document says, without a source; of a
 * model of another library, which says nothing, kind, target and columns of the model.
 */
#include "deploy/recipe.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"

static char *
text_of(int column, MemoryContext cxt)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return value ? MemoryContextStrdup(cxt, value) : NULL;
}

static char **
names_of(int column, MemoryContext cxt, int *n)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
	Datum	   *elements;
	char	  **names;

	*n = -1;
	if (isnull)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, n);
	names = MemoryContextAlloc(cxt, Max(*n, 1) * sizeof(char *));
	for (int i = 0; i < *n; i++)
		names[i] = MemoryContextStrdup(cxt, TextDatumGetCString(elements[i]));
	return names;
}

/* Back from the hexadecimal digits of ml_fingerprint_bytes. */
static void
read_fingerprint(MlRecipe *recipe, const char *hex)
{
	if (hex == NULL || strlen(hex) != 2 * ML_FINGERPRINT_SIZE)
		return;
	recipe->fingerprinted = true;
	for (int i = 0; i < 2; i++)
		recipe->fingerprint.sum[i] = strtoull(pnstrdup(hex + 16 * i, 16), NULL, 16);
}

#define FIELD(name) "recipe->>'" name "', "
#define NAMES(name) "CASE WHEN jsonb_typeof(recipe->'" name "') = 'array'" \
	" THEN ARRAY(SELECT jsonb_array_elements_text(recipe->'" name "')) END, "

/* The version of model $1 with number $2 and its recipe. */
#define VERSION_AND_RECIPE "(SELECT *, CASE WHEN jsonb_typeof(lineage->'recipe') = 'object' THEN lineage->'recipe'" \
	" WHEN jsonb_typeof(lineage->'imported'->'lineage'->'recipe') = 'object'" \
	" THEN jsonb_build_object('target', target, 'algorithm', algorithm, 'task', task)" \
	" || ((lineage->'imported'->'lineage'->'recipe') - '{source,notes}'::text[])" \
	" WHEN lineage ? 'format' THEN jsonb_build_object('target', target, 'algorithm', algorithm, 'task', task, 'params', params," \
	" 'features', (SELECT jsonb_agg(c->>'name') FROM jsonb_array_elements(lineage->'columns') c)) END AS recipe," \
	" lineage ? 'format' AS imported FROM ml.version WHERE model_id = $1 AND version = $2) v"

static void
read_row(MlRecipe *recipe, MemoryContext cxt, Oid *author)
{
	MlRequest  *r = &recipe->request;
	char	   *params;
	char	   *relation;
	char	  **roles;
	int			n;
	bool		isnull;

	recipe->ref.version_id = ml_owner_int(1);
	*author = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	r->source = text_of(3, cxt);
	r->target = text_of(4, cxt);
	r->algorithm = text_of(5, cxt);
	r->task = text_of(6, cxt);
	r->weight = text_of(7, cxt);
	r->split_by = text_of(8, cxt);
	r->order_by = text_of(9, cxt);
	r->holdout = DatumGetFloat8(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 10, &isnull));
	r->seed = ml_owner_int(11);
	params = text_of(12, cxt);
	r->features = names_of(13, cxt, &r->nfeatures);
	r->exclude = names_of(14, cxt, &r->nexclude);
	relation = text_of(15, cxt);
	recipe->search_path = relation ? NULL : text_of(16, cxt);
	if (relation)
		r->source = relation;
	roles = names_of(17, cxt, &n);
	MemoryContextSwitchTo(cxt);
	for (int i = 0; i < n; i++)
		recipe->roles = lappend(recipe->roles, roles[i]);
	recipe->notes = text_of(18, cxt);
	recipe->lineage = text_of(19, cxt);
	read_fingerprint(recipe, text_of(20, cxt));
	recipe->own = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 21, &isnull));
	recipe->imported = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 22, &isnull));
	if (recipe->imported && !(r->holdout >= 0 && r->holdout <= 0.9))
		r->holdout = 0.2;		/* the document may say anything */
	if (params)
		r->params = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(params)));
}

void
ml_recipe_read(const char *name, MlRecipe *recipe)
{
	MemoryContext cxt = CurrentMemoryContext;
	MlCatalogModel model;
	MlOwnerWork work;
	Oid			types[] = {INT8OID, INT4OID, NAMEOID, OIDOID};
	Datum		values[4];
	NameData	role;
	Oid			author = InvalidOid;
	Oid			owner = ml_catalog_owner();
	bool		found;

	memset(recipe, 0, sizeof(*recipe));
	AcceptInvalidationMessages();
	if (!ml_catalog_find(name, GetUserId(), &model))
		ml_acl_missing(name);
	ml_acl_require(&model, ML_MANAGE);
	recipe->ref.model_id = model.model_id;
	recipe->ref.version = model.current;
	strlcpy(recipe->ref.name, name, NAMEDATALEN);
	values[0] = Int64GetDatum(model.model_id);
	values[1] = Int32GetDatum(model.current);
	namestrcpy(&role, GetUserNameFromId(GetUserId(), false));
	values[2] = NameGetDatum(&role);
	values[3] = ObjectIdGetDatum(GetUserId());
	ml_owner_begin(&work);
	found = ml_owner_run("SELECT version_id, trained_by::oid, "
						 FIELD("source") FIELD("target") FIELD("algorithm") FIELD("task") FIELD("weight")
						 FIELD("split_by") FIELD("order_by")
						 "COALESCE((recipe->>'holdout')::float8, 0.2), "
						 "COALESCE((recipe->>'seed')::int8, 0), NULLIF(recipe->>'params', 'null'), "
						 NAMES("features") NAMES("exclude")
						 "lineage->>'relation', lineage->>'search_path', "
						 "ARRAY(SELECT DISTINCT c->>'role' FROM jsonb_array_elements(lineage->'columns') c), "
						 "recipe->>'notes', lineage::text, encode(fingerprint, 'hex'), "
						 "EXISTS (SELECT FROM ml.audit_log a WHERE a.model_id = $1 AND a.version = $2"
						 " AND a.action IN ('train', 'retrain') AND a.role = $3 AND (a.role_id = $4 OR a.restored)), imported"
						 " FROM " VERSION_AND_RECIPE " WHERE recipe IS NOT NULL", 4, types, values, NULL) > 0;
	if (found)
		read_row(recipe, cxt, &author);
	MemoryContextSwitchTo(cxt);
	ml_owner_end(&work);
	MemoryContextSwitchTo(cxt);
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nothing is known of how version %d of model \"%s\" was trained", model.current, name),
				 errhint("Train it with ml_train.")));
	recipe->own = recipe->own && author == GetUserId() && (superuser_arg(owner) || owner == author);
}

void
ml_recipe_source(MlRecipe *recipe, const char *source)
{
	if (source)
	{
		recipe->request.source = source;
		recipe->search_path = NULL;
		if (recipe->imported && recipe->request.target == NULL &&
			recipe->request.task && strcmp(recipe->request.task, "anomaly") != 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the target of version %d of model \"%s\" is not known", recipe->ref.version, recipe->ref.name),
					 errdetail("The version was imported without one."),
					 errhint("Import it again with target => '...', the column to be predicted.")));
	}
	else if (recipe->imported)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("argument \"source\" is needed"),
				 errdetail("Version %d of model \"%s\" was imported: the rows that it was trained on are not known here.",
						   recipe->ref.version, recipe->ref.name),
				 errhint("Name the rows to train it on: source => '...'.")));
	else if (!recipe->own)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("argument \"source\" is needed"),
				 errdetail("The source of version %d of model \"%s\" could have been written by another role, and would be run with your rights.",
						   recipe->ref.version, recipe->ref.name),
				 errhint("Name the source: the one used then is in column \"source\" of ml.versions.")));
}

void
ml_recipe_lock(int64 model_id, const char *name)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ml_catalog_relation(), (uint32) model_id, (uint16) (model_id >> 32));
	if (LockAcquire(&tag, ShareUpdateExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("model \"%s\" is already being retrained, updated or made to forget", name),
				 errhint("Try again when the other transaction has ended.")));
}
