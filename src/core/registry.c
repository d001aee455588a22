/*
 * registry.c - the algorithms compiled in.
 *
 * algo/list.h is generated from the algorithms' own files: one line
 * ML_ALGORITHM(ml_algo_name) each.  Every table is checked when the library
 * loads, so that later code need not ask whether a function is there.
 */
#include "core/registry.h"

#include <float.h>
#include <limits.h>

#include "core/host.h"
#include "core/params.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define ML_ALGORITHM(symbol) &symbol,
static const MlAlgorithm *algorithms[] = {
#include "algo/list.h"
	NULL						/* an array is never empty */
};
#undef ML_ALGORITHM

static const struct
{
	uint32_t	bit;
	const char *name;
}			task_names[] = {
	{ML_REGRESSION, "regression"},
	{ML_CLASSIFICATION, "classification"},
	{ML_ANOMALY, "anomaly"},
};

const char *
ml_task_name(uint32_t task)
{
	for (int i = 0; i < lengthof(task_names); i++)
		if (task_names[i].bit == task)
			return task_names[i].name;
	elog(ERROR, "unknown task %u", task);
}

uint32_t
ml_task_find(const char *name)
{
	for (int i = 0; i < lengthof(task_names); i++)
		if (strcmp(task_names[i].name, name) == 0)
			return task_names[i].bit;
	return 0;
}

int
ml_registry_count(void)
{
	return lengthof(algorithms) - 1;
}

const MlAlgorithm *
ml_registry_get(int i)
{
	return algorithms[i];
}

static int
by_name(const void *a, const void *b)
{
	return strcmp((*(const MlAlgorithm *const *) a)->name, (*(const MlAlgorithm *const *) b)->name);
}

/* ---- the check at load ---- */

/* Lower-case letters, digits and _, beginning with a letter. */
static bool
is_identifier(const char *name)
{
	if (name == NULL || name[0] < 'a' || name[0] > 'z')
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

static size_t
field_size(MlParamType type)
{
	switch (type)
	{
		case ML_PARAM_BOOL:
			return sizeof(bool);
		case ML_PARAM_INT:
		case ML_PARAM_ENUM:
			return sizeof(int);
		case ML_PARAM_REAL:
		case ML_PARAM_PENALTY:
			return sizeof(double);
		case ML_PARAM_COLUMN:
		case ML_PARAM_SIGNS:
		case ML_PARAM_SETS:
		case ML_PARAM_MODEL:
			return sizeof(char *);
	}
	return SIZE_MAX;			/* an unknown type fits nowhere */
}

static void
check_params(const char *owner, const MlParam *table, size_t size)
{
	char	   *wrong;

	for (const MlParam *param = table; param->name != NULL; param++)
	{
		bool		number = param->type == ML_PARAM_INT || param->type == ML_PARAM_REAL ||
			param->type == ML_PARAM_PENALTY;

		if (!is_identifier(param->name))
			elog(ERROR, "%s: \"%s\" is no name for a parameter", owner, param->name);
		if (ml_param_find(table, param->name) != param)
			elog(ERROR, "%s: two parameters \"%s\"", owner, param->name);
		if (param->help == NULL || param->help[0] == '\0')
			elog(ERROR, "%s: parameter \"%s\" has no help", owner, param->name);
		if (field_size(param->type) > size || param->offset > size - field_size(param->type))
			elog(ERROR, "%s: parameter \"%s\" lies outside of the struct", owner, param->name);
		if (number && !(param->min < param->max))
			elog(ERROR, "%s: range of parameter \"%s\" is empty", owner, param->name);
		if (param->type == ML_PARAM_PENALTY && param->min < 0)
			elog(ERROR, "%s: penalty \"%s\" may be negative", owner, param->name);
		if (param->type == ML_PARAM_ENUM && (param->choices == NULL || param->choices[0] == NULL))
			elog(ERROR, "%s: parameter \"%s\" has no choices", owner, param->name);
	}
	wrong = ml_params_defaults(table, palloc0(size + 1));
	if (wrong != NULL)
		elog(ERROR, "%s: %s", owner, wrong);
}

static void
check_algorithm(const MlAlgorithm *a)
{
	uint32_t	known = 0;

	for (int i = 0; i < lengthof(task_names); i++)
		known |= task_names[i].bit;

	if (!is_identifier(a->name))
		elog(ERROR, "\"%s\" is no name for an algorithm", a->name ? a->name : "");
	if (a->summary == NULL || a->summary[0] == '\0')
		elog(ERROR, "algorithm \"%s\" has no summary", a->name);
	if (a->tasks == 0 || (a->tasks & ~known) != 0)
		elog(ERROR, "algorithm \"%s\" has no or unknown tasks", a->name);
	if (a->format < 1)
		elog(ERROR, "algorithm \"%s\" has no payload format", a->name);
	if (a->params == NULL)
		elog(ERROR, "algorithm \"%s\" has no table of parameters", a->name);
	if (a->tasks != ML_ANOMALY && (a->tasks & ML_ANOMALY) != 0)
		elog(ERROR, "algorithm \"%s\" learns both with and without a target", a->name);
	if (a->fit == NULL &&
		(a->state_size == NULL || a->accumulate == NULL || a->combine == NULL || a->finish == NULL))
		elog(ERROR, "algorithm \"%s\" cannot train", a->name);
	if (a->fit != NULL &&
		(a->state_size != NULL || a->init != NULL || a->accumulate != NULL || a->combine != NULL ||
		 a->finish != NULL || a->choose != NULL || a->squared_error != NULL ||
		 (a->flags & (ML_SINGLE_PASS | ML_SUBTRACTS | ML_WARM_START)) != 0))
		elog(ERROR, "algorithm \"%s\" trains in two ways", a->name);
	if ((a->flags & ML_NATIVE) != 0 && (a->flags & ML_STANDARDIZED) != 0)
		elog(ERROR, "algorithm \"%s\" wants values as they are and standardized", a->name);
	if (a->predict == NULL || a->save == NULL || a->load == NULL)
		elog(ERROR, "algorithm \"%s\" cannot predict", a->name);
	if (a->choose != NULL && !(a->flags & ML_SUBTRACTS))
		elog(ERROR, "algorithm \"%s\" chooses penalties but cannot subtract states", a->name);
	check_params(a->name, a->params, a->params_size);
}

void
ml_registry_check(void)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "ml_ext registry check",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);

	check_params("the core", ml_core_params, ml_core_params_size);
	for (int i = 0; i < ml_registry_count(); i++)
		check_algorithm(algorithms[i]);
	qsort(algorithms, ml_registry_count(), sizeof(algorithms[0]), by_name);
	for (int i = 1; i < ml_registry_count(); i++)
	{
		if (strcmp(algorithms[i - 1]->name, algorithms[i]->name) == 0)
			elog(ERROR, "two algorithms \"%s\"", algorithms[i]->name);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/* ---- finding ---- */

const MlAlgorithm *
ml_registry_find(const char *name, bool missing_ok)
{
	int			n = ml_registry_count();
	const char **names;
	const char *nearest;
	StringInfoData list;

	for (int i = 0; i < n; i++)
	{
		if (strcmp(algorithms[i]->name, name) == 0)
			return algorithms[i];
	}
	if (missing_ok)
		return NULL;

	names = palloc((n + 1) * sizeof(char *));
	initStringInfo(&list);
	for (int i = 0; i < n; i++)
	{
		names[i] = algorithms[i]->name;
		appendStringInfo(&list, "%s%s", i ? ", " : "", names[i]);
	}
	nearest = ml_nearest(name, names, n);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("algorithm \"%s\" does not exist", name),
			 errdetail("Algorithms are: %s.", list.data),
			 nearest ? errhint("Did you mean \"%s\"?", nearest) : 0));
}

/* ---- the functions behind views ml.algorithms and ml.parameters ---- */

static Datum
text_array(const char **words, int n)
{
	Datum	   *elems = palloc((n + 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elems[i] = CStringGetTextDatum(words[i]);
	return PointerGetDatum(construct_array(elems, n, TEXTOID, -1, false, TYPALIGN_INT));
}

ML_FUNCTION(ml_sql_list_algorithms)
{
	MlResultRows result;

	ml_result_begin(fcinfo, &result);
	for (int i = 0; i < ml_registry_count(); i++)
	{
		const MlAlgorithm *a = algorithms[i];
		const char *tasks[lengthof(task_names)];
		const char **params;
		int			ntasks = 0;
		int			nparams = 0;
		Datum		values[4];
		bool		nulls[4] = {false, false, false, false};

		for (int t = 0; t < lengthof(task_names); t++)
		{
			if (a->tasks & task_names[t].bit)
				tasks[ntasks++] = task_names[t].name;
		}
		while (a->params[nparams].name != NULL)
			nparams++;
		params = palloc((nparams + 1) * sizeof(char *));
		for (int p = 0; p < nparams; p++)
			params[p] = a->params[p].name;

		values[0] = CStringGetTextDatum(a->name);
		values[1] = CStringGetTextDatum(a->summary);
		values[2] = text_array(tasks, ntasks);
		values[3] = text_array(params, nparams);
		ml_result_add(&result, values, nulls);
	}
	return (Datum) 0;
}

static void
add_params(MlResultRows *result, const char *algorithm, const MlParam *table)
{
	for (const MlParam *param = table; param->name != NULL; param++)
	{
		bool		number = param->type == ML_PARAM_INT || param->type == ML_PARAM_REAL ||
			param->type == ML_PARAM_PENALTY;
		double		limit = param->type == ML_PARAM_INT ? INT_MAX : DBL_MAX;
		int			nchoices = 0;
		Datum		values[8];
		bool		nulls[8];

		memset(nulls, 0, sizeof(nulls));
		nulls[0] = algorithm == NULL;
		values[0] = algorithm ? CStringGetTextDatum(algorithm) : (Datum) 0;
		values[1] = CStringGetTextDatum(param->name);
		values[2] = CStringGetTextDatum(ml_param_type_name(param->type));
		nulls[3] = param->def == NULL;
		values[3] = param->def ? CStringGetTextDatum(param->def) : (Datum) 0;
		nulls[4] = !number || param->min <= -limit;
		values[4] = Float8GetDatum(param->min);
		nulls[5] = !number || param->max >= limit;
		values[5] = Float8GetDatum(param->max);
		nulls[6] = param->type != ML_PARAM_ENUM;
		values[6] = (Datum) 0;
		if (!nulls[6])
		{
			while (param->choices[nchoices] != NULL)
				nchoices++;
			values[6] = text_array((const char **) param->choices, nchoices);
		}
		values[7] = CStringGetTextDatum(param->help);
		ml_result_add(result, values, nulls);
	}
}

ML_FUNCTION(ml_sql_list_parameters)
{
	MlResultRows result;

	ml_result_begin(fcinfo, &result);
	for (int i = 0; i < ml_registry_count(); i++)
		add_params(&result, algorithms[i]->name, algorithms[i]->params);
	add_params(&result, NULL, ml_core_params);
	return (Datum) 0;
}
