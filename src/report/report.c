/*
 * report.c - ml_report: a model card of what the catalog, the model, and rows of
 * a source say.
 *
 * All queries run as the caller, over the views that he may read; every text that
 * is not ours goes through ml_html_text.  Tables say all that the charts show, for
 * who reads without scripts.
 */
#include "report/report.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/progress.h"
#include "core/registry.h"
#include "eval/curves.h"
#include "train/args.h"
#include "train/score.h"

#define CURVE_LINES 12			/* of a curve, in its table */
#define WARNINGS 50				/* lines of what monitoring found */

typedef struct Report
{
	MlChart		chart;
	const MlModel *whole;		/* with its summaries and profile */
	JsonbContainer *version;	/* a row of ml.versions */
	JsonbContainer *model;		/* and of ml.models */
	MlMetricValue *metrics;		/* on the source; NULL: the holdout's are in info */
	MlMetricValue *baselines;
	int			nmetrics;
	bool		has_baseline;
	double		rows;			/* that the quality was measured on; 0: not measured */
	StringInfoData out;
} Report;

/* ---- pieces ---- */

static void
section(Report *r, const char *id, const char *title)
{
	appendStringInfo(&r->out, "<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s</h2>\n", id, id, title);
}

static void
section_end(Report *r)
{
	ml_html(&r->out, "</section>\n");
}

/* The head of a table; a title that begins with # is of a column of numbers. */
static void
table_begin(Report *r, const char *caption, const char *const *titles, int n)
{
	ml_html(&r->out, "<div class=\"scroll\"><table>");
	if (caption)
	{
		ml_html(&r->out, "<caption>");
		ml_html_text(&r->out, caption);
		ml_html(&r->out, "</caption>");
	}
	ml_html(&r->out, "<thead><tr>");
	for (int i = 0; i < n; i++)
	{
		ml_html(&r->out, titles[i][0] == '#' ? "<th scope=\"col\" class=\"n\">" : "<th scope=\"col\">");
		ml_html_text(&r->out, titles[i] + (titles[i][0] == '#'));
		ml_html(&r->out, "</th>");
	}
	ml_html(&r->out, "</tr></thead><tbody>\n");
}

static void
table_end(Report *r)
{
	ml_html(&r->out, "</tbody></table></div>\n");
}

#define TABLE(r, caption, ...) \
	do { \
		static const char *const titles_[] = {__VA_ARGS__}; \
		table_begin(r, caption, titles_, lengthof(titles_)); \
	} while (0)

static void
row_header(Report *r, const char *text)
{
	ml_html(&r->out, "<tr><th scope=\"row\">");
	ml_html_text(&r->out, text);
	ml_html(&r->out, "</th>");
}

static void
row_end(Report *r)
{
	ml_html(&r->out, "</tr>\n");
}

static void
facts_begin(Report *r)
{
	ml_html(&r->out, "<div class=\"scroll\"><table class=\"facts\"><tbody>\n");
}

/* A line of facts; none for NULL. */
static void
fact(Report *r, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	row_header(r, name);
	ml_html_cell(&r->out, value, false);
	row_end(r);
}

static void
fact_code(Report *r, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	row_header(r, name);
	ml_html(&r->out, "<td><code>");
	ml_html_text(&r->out, value);
	ml_html(&r->out, "</code></td>");
	row_end(r);
}

/* A table of a query's answer. */
static void
answer_rows(Report *r, const MlAnswer *answer, const char *const *titles)
{
	for (int i = 0; i < answer->rows; i++)
	{
		ml_html(&r->out, "<tr>");
		for (int j = 0; j < answer->columns; j++)
		{
			const char *text = ml_answer_get(answer, i, j);

			if (titles[j][0] == '#' && text)
				ml_html_number(&r->out, strtod(text, NULL));
			else
				ml_html_cell(&r->out, text, titles[j][0] == '#');
		}
		row_end(r);
	}
}

static char *
short_number(double value)
{
	return isfinite(value) ? ml_html_digits(value) : pstrdup("unknown");
}

/* A whole number; rows may be weighted. */
static char *
count_text(double value)
{
	return isfinite(value) ? psprintf("%.0f", value) : pstrdup("unknown");
}

static char *
when_text(const char *timestamp)
{
	char	   *copy;

	if (timestamp == NULL)
		return NULL;
	copy = pstrdup(timestamp);
	if (strlen(copy) > 19 && copy[10] == 'T' && copy[19] == '.')
		memmove(copy + 19, copy + 19 + strspn(copy + 19, ".0123456789"), strlen(copy + 19 + strspn(copy + 19, ".0123456789")) + 1);
	if (strlen(copy) > 10 && copy[10] == 'T')
		copy[10] = ' ';
	return copy;
}

/* ---- quality ---- */

typedef struct Quality
{
	const char *name;
	double		value;
	double		low;
	double		high;
	double		baseline;
} Quality;

static JsonbContainer *
info_of(const Report *r)
{
	return r->chart.model->info ? &r->chart.model->info->root : NULL;
}

/* Predictions are scores whose order counts within a group: no distance to the target means anything. */
static bool
ranks(const Report *r)
{
	const char *objective = r->chart.model->params ? ml_json_string(&r->chart.model->params->root, "objective") : NULL;

	return objective && strcmp(objective, "lambdarank") == 0;
}

/* What the model remembers of a metric on the holdout, or NULL. */
static const MlProfileMetric *
kept_metric(const Report *r, const char *name)
{
	const MlProfile *profile = r->whole->profile;

	for (int i = 0; profile && i < profile->nmetrics; i++)
		if (strcmp(profile->metrics[i].name, name) == 0)
			return &profile->metrics[i];
	return NULL;
}

/* Lines of the quality table, from the source or from what the training kept. */
static int
qualities(const Report *r, Quality **result)
{
	JsonbContainer *metrics = ml_json_member(info_of(r), "metrics");
	MlMetricValue *names;
	MlMetrics  *none;
	int			all;
	int			n = 0;

	if (ranks(r))
		return 0;
	if (r->metrics)
	{
		*result = palloc(sizeof(Quality) * Max(r->nmetrics, 1));
		for (; n < r->nmetrics; n++)
			(*result)[n] = (Quality) {r->metrics[n].name, r->metrics[n].value, r->metrics[n].ci_low, r->metrics[n].ci_high,
				r->has_baseline ? r->baselines[n].value : NAN};
		return n;
	}
	if (metrics == NULL || !JsonContainerIsObject(metrics))
		return 0;
	/* in the order of the metrics, which JSON does not keep */
	none = ml_metrics_create(r->chart.model->task, r->chart.model->classes);
	all = ml_metrics_values(none, &names);
	*result = palloc(sizeof(Quality) * Max(all, 1));
	for (int i = 0; i < all; i++)
	{
		const char *name = names[i].name;
		const MlProfileMetric *kept = kept_metric(r, name);

		if (isfinite(ml_json_number(metrics, name)) || isfinite(ml_json_number(ml_json_member(info_of(r), "baseline"), name)))
			(*result)[n++] = (Quality) {name, ml_json_number(metrics, name), kept ? kept->low : NAN, kept ? kept->high : NAN,
				ml_json_number(ml_json_member(info_of(r), "baseline"), name)};
	}
	ml_metrics_free(none);
	return n;
}

static const Quality *
main_quality(const Report *r, const Quality *lines, int n)
{
	const char *name = ml_metrics_main(r->chart.model->task, r->chart.model->classes);

	for (int i = 0; i < n; i++)
		if (strcmp(lines[i].name, name) == 0)
			return &lines[i];
	return NULL;
}

static char *
interval_text(const Quality *q)
{
	/* Rows that are all alike say nothing of how much others would vary. */
	if (!isfinite(q->low) || !isfinite(q->high) || q->low == q->high)
		return NULL;
	return psprintf("%s to %s", short_number(q->low), short_number(q->high));
}

static void
quality(Report *r)
{
	Quality    *lines;
	int			n = qualities(r, &lines);

	section(r, "quality", "Quality");
	if (ranks(r))
		ml_html(&r->out, "<p>The model ranks: its predictions are scores whose order counts within a group, on no scale of the target. "
				"How good the order is (1 less NDCG) stands in the learning curve.</p>\n");
	else if (r->chart.model->target == NULL)
		ml_html(&r->out, "<p>The model has no target, so there is nothing to measure it by: what it calls strange must be looked at.</p>\n");
	else if (n == 0)
		ml_html(&r->out, "<p>Nothing is known of the quality: no rows were held out.</p>\n");
	else
	{
		ml_html(&r->out, "<p>Measured on ");
		ml_html_text(&r->out, count_text(r->rows));
		ml_html(&r->out, r->chart.source ? " rows of <code>" : " rows held out of the training");
		if (r->chart.source)
		{
			ml_html_text(&r->out, r->chart.source);
			ml_html(&r->out, "</code>");
		}
		ml_html(&r->out, ". The baseline ignores the features and knows only how the target was distributed in training.</p>\n");
		TABLE(r, NULL, "metric", "#value", "#95 % interval", "#baseline");
		for (int i = 0; i < n; i++)
		{
			row_header(r, lines[i].name);
			ml_html_number(&r->out, lines[i].value);
			ml_html_cell(&r->out, interval_text(&lines[i]), true);
			/* of a constant it is 0, but for the last digit of a subtraction */
			ml_html_number(&r->out, strcmp(lines[i].name, "explained_variance") == 0 && fabs(lines[i].baseline) < 1e-12 ? 0 : lines[i].baseline);
			row_end(r);
		}
		table_end(r);
	}
	section_end(r);
}

/* ---- charts and their tables ---- */

static void
table_of_curve(Report *r, bool recall)
{
	JsonbContainer *curves = ml_json_member(r->chart.curves, "roc");
	const MlModel *model = r->chart.model;

	if (recall)
		TABLE(r, NULL, "class", "#threshold", "#recall", "#precision");
	else
		TABLE(r, NULL, "class", "#threshold", "#false positive rate", "#true positive rate");
	for (int i = 0; i < ml_json_size(curves) && i < model->classes; i++)
	{
		JsonbContainer *curve = ml_json_item(curves, i);
		double		positives = ml_json_at(ml_json_member(r->chart.curves, "positives"), i);
		double		negatives = ml_json_at(ml_json_member(r->chart.curves, "negatives"), i);
		int			n = ml_json_size(curve);

		for (int line = 0; line < CURVE_LINES && line < n; line++)
		{
			JsonbContainer *point = ml_json_item(curve, n <= CURVE_LINES ? line : line * (n - 1) / (CURVE_LINES - 1));
			double		fp = ml_json_at(point, 1);
			double		tp = ml_json_at(point, 2);

			row_header(r, model->labels[model->classes == 2 ? 1 : i]);
			ml_html_number(&r->out, ml_json_at(point, 0));
			ml_html_number(&r->out, recall ? tp / positives : fp / negatives);
			ml_html_number(&r->out, recall ? tp / (tp + fp) : tp / positives);
			row_end(r);
		}
	}
	table_end(r);
}

static void
table_of_numbers(Report *r, JsonbContainer *lines)
{
	for (int i = 0; i < ml_json_size(lines); i++)
	{
		JsonbContainer *line = ml_json_item(lines, i);

		ml_html(&r->out, "<tr>");
		for (int k = 0; k < ml_json_size(line) && k < 7; k++)
			ml_html_number(&r->out, ml_json_at(line, k));
		row_end(r);
	}
	table_end(r);
}

static void
table_of_confusion(Report *r)
{
	JsonbContainer *matrix = ml_json_member(r->chart.curves, "confusion");
	int			n = ml_json_size(matrix);
	const char **titles = palloc(sizeof(char *) * (n + 1));

	titles[0] = "actual";
	for (int j = 0; j < n; j++)
		titles[j + 1] = psprintf("#%s", ml_chart_label(&r->chart, j));
	table_begin(r, "Columns are the predicted classes.", titles, n + 1);
	for (int i = 0; i < n; i++)
	{
		row_header(r, ml_chart_label(&r->chart, i));
		for (int j = 0; j < n; j++)
			ml_html_number(&r->out, ml_json_at(ml_json_item(matrix, i), j));
		row_end(r);
	}
	table_end(r);
}

static void
table_of_histogram(Report *r)
{
	static const char *const members[] = {"predicted", "actual", "negative", "positive"};
	JsonbContainer *histogram = ml_json_member(r->chart.curves, "histogram");
	const MlModel *model = r->chart.model;
	const char *titles[5] = {"#from", "#below"};
	JsonbContainer *counts[5] = {NULL};
	int			n = 2;

	for (int i = 0; i < lengthof(members) && n < lengthof(titles); i++)
	{
		counts[n] = ml_json_member(histogram, members[i]);
		if (counts[n] == NULL || (i >= 2 && model->classes != 2))
			continue;
		titles[n++] = i < 2 ? psprintf("#%s", members[i]) :
			r->rows > 0 ? psprintf("#actual %s", model->labels[i - 2]) : psprintf("#%s", i == 2 ? "rows" : "");
	}
	table_begin(r, NULL, titles, n);
	for (int i = 0; n > 2 && i < ml_json_size(counts[2]); i++)
	{
		double		low = ml_json_number(histogram, "low") + i * ml_json_number(histogram, "width");

		ml_html(&r->out, "<tr>");
		ml_html_number(&r->out, low);
		ml_html_number(&r->out, low + ml_json_number(histogram, "width"));
		for (int k = 2; k < n; k++)
			ml_html_number(&r->out, ml_json_at(counts[k], i));
		row_end(r);
	}
	table_end(r);
}

static void
table_of_query(Report *r, const char *kind)
{
	static const char *const drift[] = {"at", "#run", "feature", "#index", "#threshold", "verdict"};
	static const char *const importance[] = {"feature", "#importance"};
	bool		drifts = strcmp(kind, "drift") == 0;
	MlAnswer   *answer = drifts ? ml_report_drift(r->chart.model_id) : ml_report_importance(&r->chart);

	table_begin(r, NULL, drifts ? drift : importance, answer->columns);
	for (int i = 0; i < answer->rows && !drifts; i++)
	{
		row_header(r, ml_answer_get(answer, i, 0));
		ml_html_number(&r->out, strtod(ml_answer_get(answer, i, 1), NULL));
		row_end(r);
	}
	if (drifts)
		answer_rows(r, answer, drift);
	table_end(r);
}

/* What the chart shows as a table; false when another table of the page says it. */
static bool
chart_table(Report *r, const char *kind)
{
	if (strcmp(kind, "versions") == 0 || (strcmp(kind, "distribution") == 0 && r->chart.model->classes > 2))
		return false;
	ml_html(&r->out, "<details><summary>Numbers</summary>");
	if (strcmp(kind, "roc") == 0 || strcmp(kind, "pr") == 0)
		table_of_curve(r, strcmp(kind, "pr") == 0);
	else if (strcmp(kind, "calibration") == 0)
	{
		TABLE(r, NULL, "#rows", "#predicted probability", "#observed share");
		table_of_numbers(r, ml_json_member(r->chart.curves, "calibration"));
	}
	else if (strcmp(kind, "residuals") == 0)
	{
		TABLE(r, NULL, "#rows", "#mean prediction", "#5 %", "#25 %", "#median", "#75 %", "#95 %");
		table_of_numbers(r, ml_json_member(r->chart.curves, "residuals"));
	}
	else if (strcmp(kind, "learning") == 0)
	{
		TABLE(r, NULL, "#iterations", "#objective", "#on rows kept apart");
		table_of_numbers(r, ml_json_member(ml_chart_learning(&r->chart), "points"));
	}
	else if (strcmp(kind, "confusion") == 0)
		table_of_confusion(r);
	else if (strcmp(kind, "distribution") == 0)
		table_of_histogram(r);
	else
		table_of_query(r, kind);
	ml_html(&r->out, "</details>\n");
	return true;
}

static const char *
chart_caption(const Report *r, const char *kind)
{
	bool		many = r->chart.model->classes > 2;

	if (strcmp(kind, "roc") == 0)
		return many ? "Each class against the others. The dashed line is chance." : "The dashed line is chance.";
	if (strcmp(kind, "pr") == 0)
		return many ? "Each class against the others." : "The dashed line is the share of the positive class.";
	if (strcmp(kind, "calibration") == 0)
		return many ? "Of the most probable class. On the dashed line probabilities come true." : "On the dashed line probabilities come true.";
	if (strcmp(kind, "confusion") == 0)
		return "Rows by actual and predicted class; darker: a larger share of the actual class.";
	if (strcmp(kind, "residuals") == 0)
		return "Median of actual minus predicted, with the middle half and the middle 90 % of the rows.";
	if (strcmp(kind, "importance") == 0)
		return r->chart.source && r->chart.model->target == NULL ? "Mean size of what a feature adds to a prediction or takes from it." :
			r->chart.source ? "How much worse the main metric gets when the values of a feature are dealt out anew." : "Share of each feature in what the model predicts.";
	if (strcmp(kind, "learning") == 0)
		return isfinite(ml_json_number(ml_chart_learning(&r->chart), "best")) ?
			"What the training makes small, by iteration. At the dashed line it was least on rows kept apart from learning: the model keeps the iterations up to there." :
			"What the training makes small, by iteration.";
	if (strcmp(kind, "drift") == 0)
		return "Distance of each monitored batch from the training; the dashed line is the threshold of an alert.";
	if (strcmp(kind, "versions") == 0)
		return "The main metric of each version on its own holdout, with the baseline's.";
	if (ranks(r) || !(r->rows > 0))
		return "Rows by what is predicted for them.";
	return r->chart.model->classes == 2 ? "Rows by predicted probability and by what was true." : "Rows by what was predicted and by what was true.";
}

static bool
drawable(Report *r, const MlChartKind *kind)
{
	if (kind->scores && (r->chart.curves == NULL || (kind->actual && !(r->rows > 0))))
		return false;
	if (kind->missing(&r->chart) != NULL || (ranks(r) && kind->scores))
		return false;
	/* neither values of the features, nor what ml_forget has left of them */
	if (strcmp(kind->name, "importance") == 0 && r->chart.source == NULL &&
		r->chart.model->algorithm->importance == NULL && r->whole->summaries == NULL &&
		ml_json_member(info_of(r), "spreads") == NULL)
		return false;
	/* one version makes no line, nor do scores that only rank */
	return strcmp(kind->name, "versions") != 0 || (ml_json_number(r->model, "versions") > 1 && !ranks(r));
}

static void
charts(Report *r)
{
	section(r, "charts", "Charts");
	if (r->chart.curves == NULL && !ranks(r))
		ml_html(&r->out, "<p>The model keeps no curves of a holdout. Give <code>ml_report</code> a source to draw them from.</p>\n");
	ml_html(&r->out, "<div class=\"charts\">\n");
	for (const MlChartKind *kind = ml_chart_kinds; kind->name; kind++)
	{
		StringInfoData spec;

		if (!drawable(r, kind))
			continue;
		initStringInfo(&spec);
		ml_chart_write(&r->chart, kind, &spec);
		appendStringInfo(&r->out, "<figure><h3>%s</h3><div class=\"chart\" id=\"chart-%s\" role=\"img\" aria-label=\"%s\"></div>\n<figcaption>",
						 kind->title, kind->name, kind->title);
		ml_html_text(&r->out, chart_caption(r, kind->name));
		ml_html(&r->out, "</figcaption>\n");
		chart_table(r, kind->name);
		appendStringInfo(&r->out, "<script type=\"application/json\" data-chart=\"chart-%s\">", kind->name);
		ml_html_json(&r->out, spec.data);
		ml_html(&r->out, "</script></figure>\n");
	}
	ml_html(&r->out, "</div>\n");
	section_end(r);
}

/* ---- head ---- */

static void
tile(Report *r, const char *value, const char *what)
{
	ml_html(&r->out, "<div class=\"tile\"><b>");
	ml_html_text(&r->out, value);
	ml_html(&r->out, "</b><span>");
	ml_html_text(&r->out, what);
	ml_html(&r->out, "</span></div>\n");
}

static void
badge(Report *r, const char *class, const char *text)
{
	appendStringInfo(&r->out, "<span class=\"badge %s\">", class);
	ml_html_text(&r->out, text);
	ml_html(&r->out, "</span>");
}

static void
badges(Report *r)
{
	JsonbContainer *aliases = ml_json_member(r->version, "aliases");
	const char *current = ml_json_string(r->version, "is_current");

	ml_html(&r->out, "<p>");
	if (current && strcmp(current, "true") == 0)
		badge(r, "good", "champion");
	for (int i = 0; i < ml_json_size(aliases); i++)
		badge(r, "", ml_json_text_at(aliases, i));
	if (ml_json_string(r->version, "archived_at"))
		badge(r, "bad", "archived");
	if (ml_json_string(r->version, "stale"))
		badge(r, "bad", "stale");
	ml_html(&r->out, "</p>\n");
}

static void
head(Report *r)
{
	const MlModel *model = r->chart.model;
	Quality    *lines;
	int			n = qualities(r, &lines);
	const Quality *best = main_quality(r, lines, n);
	const char *target = model->target ? psprintf(" of %s", model->target) : "";

	ml_html(&r->out, "<header>\n<h1>");
	ml_html_text(&r->out, pnstrdup(r->chart.name, strcspn(r->chart.name, "@")));
	ml_html(&r->out, "</h1>\n<p class=\"sub\">");
	ml_html_text(&r->out, psprintf("Version %s: %s%s by %s, trained %s by %s", ml_json_string(r->version, "version"),
								   ml_task_name(model->task), target, model->algorithm->name,
								   when_text(ml_json_string(r->version, "trained_at")), ml_json_string(r->version, "trained_by")));
	ml_html(&r->out, "</p>\n");
	badges(r);
	ml_html(&r->out, "<div class=\"tiles\">\n");
	if (best)
	{
		const char *interval = interval_text(best);

		tile(r, short_number(best->value), interval ? psprintf("%s (95 %%: %s)", best->name, interval) : best->name);
		if (isfinite(best->baseline))
			tile(r, short_number(best->baseline), psprintf("%s of the baseline", best->name));
	}
	if (ranks(r) && isfinite(ml_json_number(ml_chart_learning(&r->chart), "best")))
		tile(r, ml_json_string(ml_chart_learning(&r->chart), "best"), "rounds of boosting kept");
	tile(r, ml_json_string(r->version, "rows_used"), "rows learned from");
	tile(r, psprintf("%d", model->encoder->schema->ncolumns), "features");
	ml_html(&r->out, "</div>\n</header>\n<main>\n");
}

/* ---- warnings and purpose ---- */

static void
warnings(Report *r)
{
	JsonbContainer *list = ml_json_member(r->version, "warnings");
	const char *stale = ml_json_string(r->version, "stale");
	const char *archived = ml_json_string(r->version, "archived_at");

	section(r, "warnings", "Warnings");
	if (stale == NULL && archived == NULL && ml_json_size(list) == 0)
		ml_html(&r->out, "<p>None.</p>\n");
	else
		ml_html(&r->out, "<ul>\n");
	if (stale)
	{
		ml_html(&r->out, "<li class=\"bad\">It should be trained again: ");
		ml_html_text(&r->out, stale);
		ml_html(&r->out, "</li>\n");
	}
	if (archived)
	{
		ml_html(&r->out, "<li class=\"bad\">This version was archived ");
		ml_html_text(&r->out, when_text(archived));
		ml_html(&r->out, "</li>\n");
	}
	for (int i = 0; i < ml_json_size(list); i++)
	{
		ml_html(&r->out, "<li>");
		ml_html_text(&r->out, ml_json_text_at(list, i));
		ml_html(&r->out, "</li>\n");
	}
	if (stale || archived || ml_json_size(list) > 0)
		ml_html(&r->out, "</ul>\n");
	section_end(r);
}

static void
purpose(Report *r)
{
	const char *texts[] = {ml_json_string(r->model, "comment"), ml_json_string(r->version, "comment"), ml_json_string(r->version, "notes")};
	bool		any = false;

	section(r, "purpose", "Purpose");
	for (int i = 0; i < lengthof(texts); i++)
		if (texts[i] && texts[i][0] != '\0')
		{
			ml_html(&r->out, "<p>");
			ml_html_text(&r->out, texts[i]);
			ml_html(&r->out, "</p>\n");
			any = true;
		}
	if (!any)
		ml_html(&r->out, "<p>Nobody has written down what the model is for (<code>ml_comment</code>).</p>\n");
	section_end(r);
}

/* ---- data ---- */

static void
column_line(Report *r, JsonbContainer *column)
{
	const MlModel *whole = r->whole;
	const char *name = ml_json_string(column, "name");
	const MlSchema *schema = whole->encoder->schema;
	const MlSummary *s = NULL;

	row_header(r, name);
	ml_html_cell(&r->out, ml_json_string(column, "type"), false);
	ml_html_cell(&r->out, ml_json_string(column, "role"), false);
	for (int i = 0; i < schema->ncolumns && name; i++)
		if (schema->columns[i].cells == 1 && strcmp(schema->columns[i].name, name) == 0 &&
			schema->columns[i].first_cell < whole->nsummaries)
			s = &whole->summaries[schema->columns[i].first_cell];
	if (s == NULL)
		ml_html(&r->out, "<td></td><td></td><td></td><td></td>");
	else
	{
		double		rows = s->n + s->nulls;
		bool		number = false;

		for (int i = 0; i < schema->ncolumns; i++)
			number |= schema->columns[i].kind == ML_NUMBER && strcmp(schema->columns[i].name, name) == 0;
		ml_html_cell(&r->out, rows > 0 ? psprintf("%.1f %%", 100 * s->nulls / rows) : NULL, true);
		ml_html_number(&r->out, number && s->n > 0 ? s->min : NAN);
		ml_html_number(&r->out, number && s->n > 0 ? s->mean : NAN);
		ml_html_number(&r->out, number && s->n > 0 ? s->max : NAN);
	}
	row_end(r);
}

static void
data(Report *r)
{
	JsonbContainer *lineage = ml_json_member(r->version, "lineage");
	JsonbContainer *split = ml_json_member(lineage, "split");
	JsonbContainer *columns = ml_json_member(lineage, "columns");
	const char *security = ml_json_string(lineage, "row_security");

	section(r, "data", "Data");
	facts_begin(r);
	fact_code(r, "Source", ml_json_string(r->version, "source"));
	fact(r, "Relation", ml_json_string(lineage, "relation"));
	fact(r, "Target", r->chart.model->target ? psprintf("%s %s", r->chart.model->target, r->chart.model->target_type) : NULL);
	if (r->chart.model->classes == 2)
		fact(r, "Positive class", r->chart.model->labels[1]);
	fact(r, "Rows", psprintf("%s read, %s used, %s dropped", ml_json_string(r->version, "rows_read"),
							 ml_json_string(r->version, "rows_used"), ml_json_string(r->version, "rows_dropped")));
	fact(r, "Held out", !split || r->chart.model->target == NULL ? NULL : psprintf("%s rows (%s)", ml_json_string(split, "holdout_rows"), ml_json_string(split, "kind")));
	if (security)
		fact(r, "Row security", strcmp(security, "true") == 0 ? "was in force: policies decided which rows were read" : "was not in force");
	fact_code(r, "Fingerprint of the rows", ml_json_string(r->version, "fingerprint"));
	table_end(r);
	if (ml_json_size(columns) > 0)
	{
		TABLE(r, NULL, "column", "type", "role", "#missing", "#least", "#mean", "#largest");
		for (int i = 0; i < ml_json_size(columns); i++)
			column_line(r, ml_json_item(columns, i));
		table_end(r);
	}
	section_end(r);
}

/* ---- training and history ---- */

static void
training(Report *r)
{
	JsonbContainer *lineage = ml_json_member(r->version, "lineage");
	const MlModel *model = r->chart.model;

	section(r, "training", "Training");
	facts_begin(r);
	fact(r, "Algorithm", model->algorithm->name);
	if (model->params)
		fact_code(r, "Parameters", JsonbToCString(NULL, &model->params->root, VARSIZE(model->params)));
	fact(r, "Seed", ml_json_string(r->version, "seed"));
	fact(r, "Duration", ml_json_string(r->version, "elapsed"));
	fact(r, "Trained", psprintf("%s by %s (logged in as %s)", when_text(ml_json_string(r->version, "trained_at")),
								ml_json_string(r->version, "trained_by"), ml_json_string(r->version, "session_role")));
	fact(r, "Version of ml_ext", ml_json_string(r->version, "extension_version"));
	fact(r, "Made from version", ml_json_string(lineage, "parent"));
	fact(r, "Owner", ml_json_string(r->model, "owner"));
	table_end(r);
	section_end(r);
}

static void
history(Report *r)
{
	static const char *const versions[] = {"#version", "names", "algorithm", "metric", "#value", "#baseline", "#rows", "trained", "by"};
	static const char *const audit[] = {"at", "role", "action", "#version", "detail"};
	Oid			name_type[] = {TEXTOID};
	Oid			id_type[] = {INT8OID};
	Datum		name[] = {CStringGetTextDatum(pnstrdup(r->chart.name, strcspn(r->chart.name, "@")))};
	Datum		id[] = {Int64GetDatum(r->chart.model_id)};
	MlAnswer   *answer = ml_report_ask("SELECT version, pg_catalog.array_to_string(CASE WHEN is_current THEN ARRAY['champion'] ELSE '{}' END "
									   "|| aliases::text[] || CASE WHEN archived_at IS NULL THEN '{}'::text[] ELSE ARRAY['archived'] END, ', '), "
									   "algorithm, CASE WHEN ranks THEN NULL ELSE metric END, CASE WHEN ranks THEN NULL ELSE value END, "
									   "CASE WHEN ranks THEN NULL ELSE baseline END, rows_used, "
									   "pg_catalog.to_char(trained_at, 'YYYY-MM-DD HH24:MI:SS'), trained_by "
									   "FROM (SELECT *, COALESCE(params->>'objective' = 'lambdarank', false) AS ranks FROM ml.versions WHERE model = $1) v "
									   "ORDER BY version DESC LIMIT 20", 1, name_type, name);

	section(r, "history", "History");
	table_begin(r, "The latest versions", versions, lengthof(versions));
	answer_rows(r, answer, versions);
	table_end(r);
	answer = ml_report_ask("SELECT pg_catalog.to_char(at, 'YYYY-MM-DD HH24:MI:SS'), role, action, version, detail FROM ml.audit "
						   "WHERE model_id = $1 ORDER BY audit_id DESC LIMIT 20", 1, id_type, id);
	table_begin(r, "What was done to the model last", audit, lengthof(audit));
	answer_rows(r, answer, audit);
	table_end(r);
	section_end(r);
}

static void
monitoring(Report *r)
{
	static const char *const titles[] = {"of", "measure", "#reference", "#value", "verdict", "#rows"};
	Oid			types[] = {INT8OID};
	Datum		values[] = {Int64GetDatum(r->chart.model_id)};
	MlAnswer   *last;
	MlAnswer   *answer;

	if (!ml_report_monitored())
		return;
	last = ml_report_ask("SELECT run_id, pg_catalog.to_char(pg_catalog.min(at), 'YYYY-MM-DD HH24:MI:SS'), pg_catalog.min(source), pg_catalog.min(version) "
						 "FROM ml.monitoring WHERE model_id = $1 GROUP BY run_id ORDER BY run_id DESC LIMIT 1", 1, types, values);
	section(r, "monitoring", "Monitoring");
	if (last->rows == 0)
	{
		ml_html(&r->out, "<p>No batch has been compared with the training (<code>ml_monitor</code>).</p>\n");
		section_end(r);
		return;
	}
	ml_html(&r->out, "<p>The last batch, ");
	ml_html_text(&r->out, psprintf("%s, version %s, of ", ml_answer_get(last, 0, 1), ml_answer_get(last, 0, 3)));
	ml_html(&r->out, "<code>");
	ml_html_text(&r->out, ml_answer_get(last, 0, 2));
	ml_html(&r->out, "</code>.</p>\n");
	answer = ml_report_ask("SELECT CASE WHEN feature IS NULL THEN subject ELSE feature END || CASE WHEN segment IS NULL THEN '' ELSE ' (' || segment || ')' END, "
						   "measure, reference, value, verdict, n FROM ml.monitoring "
						   "WHERE model_id = $1 AND run_id = (SELECT pg_catalog.max(run_id) FROM ml.monitoring WHERE model_id = $1) "
						   "AND verdict IN ('warn', 'alert') ORDER BY verdict, line LIMIT " CppAsString2(WARNINGS), 1, types, values);
	if (answer->rows == 0)
		ml_html(&r->out, "<p>Nothing in it gave reason to warn.</p>\n");
	else
	{
		table_begin(r, answer->rows < WARNINGS ? "What gave reason to warn" : "What gave reason to warn; more may stand in ml.monitoring",
					titles, lengthof(titles));
		answer_rows(r, answer, titles);
		table_end(r);
	}
	section_end(r);
}

/* ---- the report ---- */

static JsonbContainer *
read_json(const MlAnswer *answer, int column)
{
	const char *text = ml_answer_get(answer, 0, column);

	if (text == NULL)
		elog(ERROR, "a model that can be viewed is missing in the views");
	return &DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)))->root;
}

static void
read_catalog(Report *r)
{
	Oid			types[] = {TEXTOID, INT4OID};
	const char *at = strchr(r->chart.name, '@');
	Datum		values[] = {CStringGetTextDatum(pnstrdup(r->chart.name, at - r->chart.name)), Int32GetDatum(atoi(at + 1))};
	MlAnswer   *answer = ml_report_ask("SELECT pg_catalog.to_jsonb(v), pg_catalog.to_jsonb(m) FROM ml.versions v JOIN ml.models m "
									   "USING (model) WHERE v.model = $1 AND v.version = $2", 2, types, values);

	r->version = read_json(answer, 0);
	r->model = read_json(answer, 1);
}

static void
measure(Report *r)
{
	const MlModel *model = r->chart.model;
	MlMetrics  *metrics = NULL;
	MlMetrics  *baseline = NULL;

	if (r->chart.source && model->target)
	{
		metrics = ml_metrics_create(model->task, model->classes);
		baseline = ml_metrics_create(model->task, model->classes);
	}
	if (ml_chart_score(&r->chart, metrics != NULL, metrics, baseline) && model->target)
		r->rows = ml_json_number(r->chart.curves, "rows");
	else
		r->rows = ml_json_number(info_of(r), "holdout_rows");
	if (metrics)
	{
		r->nmetrics = ml_metrics_values(metrics, &r->metrics);
		ml_metrics_values(baseline, &r->baselines);
		r->has_baseline = ml_model_prior(model) != NULL;
		ml_metrics_free(metrics);
		ml_metrics_free(baseline);
	}
}

/* ml_report(model, source) */
ML_FUNCTION(ml_sql_report)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(caller, "ml_ext report", ALLOCSET_DEFAULT_SIZES);
	Report		r = {{0}};
	MlModelRef	ref;
	char	   *page;
	text	   *result;

	MemoryContextSwitchTo(cxt);
	r.chart.wide = true;
	r.chart.source = ml_arg_text(fcinfo, 1);
	ml_chart_open(&r.chart, fcinfo, ML_VIEW);
	ml_catalog_resolve(r.chart.name, ML_VIEW, false, &ref);
	ml_progress_start("evaluate", InvalidOid);
	r.whole = ml_model_unpack_whole(ml_catalog_payload(ref.version_id));
	read_catalog(&r);
	measure(&r);
	initStringInfo(&r.out);
	head(&r);
	purpose(&r);
	warnings(&r);
	quality(&r);
	charts(&r);
	monitoring(&r);
	data(&r);
	training(&r);
	history(&r);
	ml_html(&r.out, "</main>\n<footer><p>Made by ml_report ");
	ml_html_text(&r.out, when_text(ml_answer_get(ml_report_ask("SELECT pg_catalog.to_jsonb(pg_catalog.now())->>0", 0, NULL, NULL), 0, 0)));
	ml_html(&r.out, ". Charts: Vega, Vega-Lite and Vega-Embed (BSD-3-Clause). <noscript>They need scripts; their numbers are in the tables.</noscript></p></footer>\n");
	page = ml_html_page(psprintf("%s, version %d", ref.name, ref.version), r.out.data);
	ml_progress_end();
	MemoryContextSwitchTo(caller);
	result = cstring_to_text(page);
	MemoryContextDelete(cxt);
	PG_RETURN_TEXT_P(result);
}
