/*
 * chart.h - Vega-Lite specifications of what is known of a model, and the ways
 * to what they show; shared by ml_plot and ml_report.
 */
#ifndef ML_REPORT_CHART_H
#define ML_REPORT_CHART_H

#include "core/catalog.h"
#include "core/json.h"
#include "core/model.h"
#include "eval/metrics.h"
#include "lib/stringinfo.h"

/* A model and what is to be shown of it. */
typedef struct MlChart
{
	const MlModel *model;
	const char *name;			/* with version, "churn@3"; NULL for a value */
	int64		model_id;		/* 0 for a value */
	Datum		value;			/* ml_model, when there is no name */
	const char *source;			/* or NULL */
	JsonbContainer *curves;		/* eval/curves.c; of the source, or of the holdout; NULL: not known */
	bool		wide;			/* as wide as the page; otherwise of a fixed size, with a title */
} MlChart;

typedef struct MlChartKind
{
	const char *name;
	const char *title;
	bool		scores;			/* drawn from `curves` */
	bool		actual;			/* ... which must know what was true */
	const char *(*missing) (const MlChart *chart);	/* why there is no such chart, for the model's kind; or NULL */
	void		(*draw) (const MlChart *chart, StringInfo out);	/* what follows title and size */
	int			height;
} MlChartKind;

extern const MlChartKind ml_chart_kinds[];	/* name NULL: end */
extern const MlChartKind *ml_chart_kind(const char *name);	/* 22023, with the list */

/* Appends a specification; the kind is not missing and its curves are known. */
extern void ml_chart_write(const MlChart *chart, const MlChartKind *kind, StringInfo out);

/* Fills `curves` from the source, which with `target` must have it, or from the model's info; false when it keeps none. */
extern bool ml_chart_score(MlChart *chart, bool target, MlMetrics *model, MlMetrics *baseline);

/* {"best": n, "points": [[iterations, objective, objective on rows kept apart], ...]}, or NULL. */
extern JsonbContainer *ml_chart_learning(const MlChart *chart);

/* The label of line i of the confusion matrix. */
extern const char *ml_chart_label(const MlChart *chart, int i);

/* Appends text, with double quotes for single ones. */
extern void ml_chart_text(StringInfo out, const char *text);

/* ---- queries, run as the caller ---- */

typedef struct MlAnswer
{
	int			rows;
	int			columns;
	char	  **values;			/* rows x columns; NULL: null */
} MlAnswer;

/*
 * The answer lives in the current context.  A text with %s, which is the extension's
 * schema, runs with the caller's search_path, and names everything in full; others
 * with that of the server alone.
 */
extern MlAnswer *ml_report_ask(const char *sql, int nargs, Oid *types, Datum *values);
extern const char *ml_answer_get(const MlAnswer *answer, int row, int column);

/* Rows (feature, importance), largest first. */
extern MlAnswer *ml_report_importance(const MlChart *chart);
extern bool ml_report_monitored(void);	/* whether there is ml.monitoring */
/* Rows (at, run, feature, psi, threshold, verdict), oldest first. */
extern MlAnswer *ml_report_drift(int64 model_id);

#endif
