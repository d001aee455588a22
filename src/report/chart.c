/*
 * chart.c - Vega-Lite 5 specifications with their data inside.
 *
 * Fields have fixed names; what comes from the user (labels, column names) is only
 * ever a value or a title, written by escape_json.  No colour is set: they are the
 * reader's configuration.
 */
#include "report/chart.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"

#include "eval/curves.h"
#include "eval/metrics.h"
#include "ml.h"

#define MOST_FEATURES 20
#define AT_ONCE 3600			/* seconds */
#define BAR_HEIGHT 22
#define FEW_CLASSES 5			/* names of so many have room beside each other */
#define LEVEL_LABELS ", 'axis': {'labelAngle': 0, 'labelLimit': 80}"

/* ---- writing ---- */

void
ml_chart_text(StringInfo out, const char *text)
{
	for (const char *c = text; *c != '\0'; c++)
		appendStringInfoChar(out, *c == '\'' ? '"' : *c);
}

/* Opens the next object of a list of rows. */
static void
row_begin(StringInfo out)
{
	appendStringInfoString(out, out->data[out->len - 1] == '[' ? "{" : ", {");
}

static void
field_name(StringInfo out, const char *name)
{
	appendStringInfo(out, "%s\"%s\": ", out->data[out->len - 1] == '{' ? "" : ", ", name);
}

static void
field_number(StringInfo out, const char *name, double value)
{
	field_name(out, name);
	ml_json_put_number(out, value);
}

static void
field_text(StringInfo out, const char *name, const char *value)
{
	field_name(out, name);
	if (value)
		escape_json(out, value);
	else
		appendStringInfoString(out, "null");
}

#define ROWS_BEGIN ", 'data': {'values': ["
#define ROWS_END "]}"

/* A line from (0, 0) to (1, 1), as a layer with fields x and y. */
#define DIAGONAL \
	"{'data': {'values': [{'x': 0, 'y': 0}, {'x': 1, 'y': 1}]}, " \
	"'mark': {'type': 'line', 'strokeDash': [4, 4], 'strokeWidth': 1, 'opacity': 0.6}, " \
	"'encoding': {'x': {'field': 'x', 'type': 'quantitative'}, 'y': {'field': 'y', 'type': 'quantitative'}}}"

#define SHARE(field, title) \
	"{'field': '" field "', 'type': 'quantitative', 'title': '" title "', 'scale': {'domain': [0, 1]}}"

const char *
ml_chart_label(const MlChart *chart, int i)
{
	JsonbContainer *classes = ml_json_member(chart->curves, "classes");
	double		class = ml_json_at(classes, i);

	if (class >= 0 && class < chart->model->classes)
		return chart->model->labels[(int) class];
	return psprintf("(%d other classes)", chart->model->classes - ml_json_size(classes) + 1);
}

/* ---- curves ---- */

/* Class that curve i is of. */
static const char *
curve_label(const MlChart *chart, int i)
{
	const MlModel *model = chart->model;

	return model->classes == 2 ? model->labels[1] : i < model->classes ? model->labels[i] : "";
}

static void
curve_rows(const MlChart *chart, bool recall, StringInfo out)
{
	JsonbContainer *curves = ml_json_member(chart->curves, "roc");
	JsonbContainer *positives = ml_json_member(chart->curves, "positives");
	JsonbContainer *negatives = ml_json_member(chart->curves, "negatives");

	ml_chart_text(out, ROWS_BEGIN);
	for (int i = 0; i < ml_json_size(curves); i++)
	{
		JsonbContainer *curve = ml_json_item(curves, i);
		int			n = ml_json_size(curve);

		for (int j = recall ? 0 : -1; j < n && n > 0; j++)
		{
			JsonbContainer *point = ml_json_item(curve, j);
			double		fp = j < 0 ? 0 : ml_json_at(point, 1);
			double		tp = j < 0 ? 0 : ml_json_at(point, 2);

			row_begin(out);
			field_text(out, "class", curve_label(chart, i));
			field_number(out, "threshold", j < 0 ? NAN : ml_json_at(point, 0));
			field_number(out, "order", j + 1);
			field_number(out, "x", recall ? tp / ml_json_at(positives, i) : fp / ml_json_at(negatives, i));
			field_number(out, "y", recall ? tp / (tp + fp) : tp / ml_json_at(positives, i));
			appendStringInfoChar(out, '}');
		}
	}
	ml_chart_text(out, ROWS_END);
}

static void
curve_line(const MlChart *chart, const char *x, const char *y, StringInfo out)
{
	ml_chart_text(out, "{'mark': {'type': 'line', 'tooltip': true}, 'encoding': {'x': ");
	ml_chart_text(out, x);
	ml_chart_text(out, ", 'y': ");
	ml_chart_text(out, y);
	ml_chart_text(out, ", 'order': {'field': 'order', 'type': 'quantitative'}");
	if (chart->model->classes > 2)
		ml_chart_text(out, ", 'color': {'field': 'class', 'type': 'nominal', 'sort': null, 'title': 'class'}");
	ml_chart_text(out, ", 'tooltip': [{'field': 'class', 'type': 'nominal'}, "
				  "{'field': 'threshold', 'type': 'quantitative', 'format': '.4f'}, "
				  "{'field': 'x', 'type': 'quantitative', 'format': '.3f'}, "
				  "{'field': 'y', 'type': 'quantitative', 'format': '.3f'}]}}");
}

static void
draw_roc(const MlChart *chart, StringInfo out)
{
	curve_rows(chart, false, out);
	ml_chart_text(out, ", 'layer': [" DIAGONAL ", ");
	curve_line(chart, SHARE("x", "false positive rate"), SHARE("y", "true positive rate"), out);
	appendStringInfoChar(out, ']');
}

static void
draw_pr(const MlChart *chart, StringInfo out)
{
	double		positives = ml_json_at(ml_json_member(chart->curves, "positives"), 0);
	double		share = positives / (positives + ml_json_at(ml_json_member(chart->curves, "negatives"), 0));

	curve_rows(chart, true, out);
	ml_chart_text(out, ", 'layer': [");
	if (chart->model->classes == 2 && isfinite(share))
	{
		ml_chart_text(out, "{'data': {'values': [{'y': ");
		ml_json_put_number(out, share);
		ml_chart_text(out, "}]}, 'mark': {'type': 'rule', 'strokeDash': [4, 4], 'opacity': 0.6}, "
					  "'encoding': {'y': {'field': 'y', 'type': 'quantitative'}}}, ");
	}
	curve_line(chart, SHARE("x", "recall"), SHARE("y", "precision"), out);
	appendStringInfoChar(out, ']');
}

static void
draw_calibration(const MlChart *chart, StringInfo out)
{
	JsonbContainer *bins = ml_json_member(chart->curves, "calibration");

	ml_chart_text(out, ROWS_BEGIN);
	for (int i = 0; i < ml_json_size(bins); i++)
	{
		JsonbContainer *bin = ml_json_item(bins, i);

		row_begin(out);
		field_number(out, "n", ml_json_at(bin, 0));
		field_number(out, "x", ml_json_at(bin, 1));
		field_number(out, "y", ml_json_at(bin, 2));
		appendStringInfoChar(out, '}');
	}
	ml_chart_text(out, ROWS_END ", 'layer': [" DIAGONAL ", "
				  "{'mark': {'type': 'line'}, 'encoding': {'x': " SHARE("x", "predicted probability")
				  ", 'y': " SHARE("y", "observed share") "}}, "
				  "{'mark': {'type': 'point', 'filled': true, 'opacity': 1, 'tooltip': true}, 'encoding': {"
				  "'x': {'field': 'x', 'type': 'quantitative'}, 'y': {'field': 'y', 'type': 'quantitative'}, "
				  "'size': {'field': 'n', 'type': 'quantitative', 'title': 'rows', 'legend': null, 'scale': {'range': [30, 200]}}, "
				  "'tooltip': [{'field': 'n', 'type': 'quantitative', 'title': 'rows', 'format': ',.0f'}, "
				  "{'field': 'x', 'type': 'quantitative', 'title': 'predicted', 'format': '.4f'}, "
				  "{'field': 'y', 'type': 'quantitative', 'title': 'observed', 'format': '.4f'}]}}]");
}

/* ---- matrix ---- */

static void
draw_confusion(const MlChart *chart, StringInfo out)
{
	JsonbContainer *matrix = ml_json_member(chart->curves, "confusion");
	int			n = ml_json_size(matrix);

	ml_chart_text(out, ROWS_BEGIN);
	for (int i = 0; i < n; i++)
	{
		JsonbContainer *line = ml_json_item(matrix, i);
		double		sum = 0;

		for (int j = 0; j < n; j++)
			sum += ml_json_at(line, j);
		for (int j = 0; j < n; j++)
		{
			row_begin(out);
			field_text(out, "actual", ml_chart_label(chart, i));
			field_text(out, "predicted", ml_chart_label(chart, j));
			field_number(out, "n", ml_json_at(line, j));
			field_number(out, "share", sum > 0 ? ml_json_at(line, j) / sum : 0);
			appendStringInfoChar(out, '}');
		}
	}
	ml_chart_text(out, ROWS_END ", 'encoding': {"
				  "'x': {'field': 'predicted', 'type': 'nominal', 'sort': null, 'title': 'predicted'");
	if (n <= FEW_CLASSES)
		ml_chart_text(out, LEVEL_LABELS);
	ml_chart_text(out, "}, "
				  "'y': {'field': 'actual', 'type': 'nominal', 'sort': null, 'title': 'actual'}}, 'layer': ["
				  "{'mark': {'type': 'rect', 'tooltip': true}, 'encoding': {'opacity': {'field': 'share', "
				  "'type': 'quantitative', 'title': 'share of actual', 'legend': null, 'scale': {'domain': [0, 1], 'range': [0.04, 0.7]}}}}");
	if (n <= 12)
		ml_chart_text(out, ", {'mark': {'type': 'text'}, 'encoding': {'text': {'field': 'n', 'type': 'quantitative', 'format': ',.0f'}}}");
	appendStringInfoChar(out, ']');
}

/* ---- regression ---- */

#define BAND(mark, low, high, opacity) \
	"{'mark': {'type': " mark ", 'opacity': " opacity "}, 'encoding': {" \
	"'x': {'field': 'x', 'type': 'quantitative'}, 'y': {'field': '" low "', 'type': 'quantitative'}, 'y2': {'field': '" high "'}}}"

static void
draw_residuals(const MlChart *chart, StringInfo out)
{
	static const char *const names[] = {"n", "x", "q05", "q25", "q50", "q75", "q95"};
	JsonbContainer *bins = ml_json_member(chart->curves, "residuals");
	JsonbContainer *points = ml_json_member(chart->curves, "points");

	ml_chart_text(out, ROWS_BEGIN);
	for (int i = 0; i < ml_json_size(bins); i++)
	{
		row_begin(out);
		for (int k = 0; k < lengthof(names); k++)
			field_number(out, names[k], ml_json_at(ml_json_item(bins, i), k));
		appendStringInfoChar(out, '}');
	}
	ml_chart_text(out, ROWS_END ", 'layer': [");
	if (points)
	{
		ml_chart_text(out, "{'data': {'values': [");
		for (int i = 0; i < ml_json_size(points); i++)
		{
			JsonbContainer *point = ml_json_item(points, i);

			row_begin(out);
			field_number(out, "x", ml_json_at(point, 0));
			field_number(out, "y", ml_json_at(point, 1) - ml_json_at(point, 0));
			appendStringInfoChar(out, '}');
		}
		ml_chart_text(out, "]}, 'mark': {'type': 'point', 'filled': true, 'size': 12, 'opacity': 0.35}, 'encoding': {"
					  "'x': {'field': 'x', 'type': 'quantitative'}, 'y': {'field': 'y', 'type': 'quantitative'}}}, ");
	}
	/* An area needs two bins. */
	ml_chart_text(out, ml_json_size(bins) > 1 ? BAND("'area'", "q05", "q95", "0.15") ", " BAND("'area'", "q25", "q75", "0.3") :
				  BAND("'bar', 'size': 40", "q05", "q95", "0.15") ", " BAND("'bar', 'size': 40", "q25", "q75", "0.3"));
	ml_chart_text(out, ", {'mark': {'type': 'rule', 'strokeDash': [4, 4], 'opacity': 0.6}, 'encoding': {'y': {'datum': 0, 'type': 'quantitative'}}}, "
				  "{'mark': {'type': 'line', 'tooltip': true, 'point': true}, 'encoding': {"
				  "'x': {'field': 'x', 'type': 'quantitative', 'title': 'predicted', 'scale': {'zero': false}}, "
				  "'y': {'field': 'q50', 'type': 'quantitative', 'title': 'actual - predicted'}}}]");
}

static void
histogram_rows(JsonbContainer *histogram, const char *member, const char *label, StringInfo out)
{
	JsonbContainer *counts = ml_json_member(histogram, member);
	double		low = ml_json_number(histogram, "low");
	double		width = ml_json_number(histogram, "width");

	for (int i = 0; i < ml_json_size(counts); i++)
	{
		row_begin(out);
		field_text(out, "of", label);
		field_number(out, "low", low + i * width);
		field_number(out, "high", low + (i + 1) * width);
		field_number(out, "n", ml_json_at(counts, i));
		appendStringInfoChar(out, '}');
	}
}

/* Where a line of steps comes down behind the last bin. */
static void
histogram_end(JsonbContainer *histogram, const char *member, StringInfo out)
{
	double		end = ml_json_number(histogram, "low") +
		ml_json_size(ml_json_member(histogram, member)) * ml_json_number(histogram, "width");

	row_begin(out);
	field_text(out, "of", member);
	field_number(out, "low", end);
	field_number(out, "high", end);
	field_number(out, "n", 0);
	appendStringInfoChar(out, '}');
}

#define COUNTED "'y': {'field': 'n', 'type': 'quantitative', 'title': 'rows'}"
#define BINNED(title) \
	"'x': {'field': 'low', 'bin': {'binned': true}, 'type': 'quantitative', 'title': '" title "', " \
	"'axis': {'tickCount': 6, 'labelOverlap': true}}, 'x2': {'field': 'high'}"

static void
distribution_of_classes(const MlChart *chart, StringInfo out)
{
	JsonbContainer *matrix = ml_json_member(chart->curves, "confusion");
	bool		known = ml_json_number(chart->curves, "rows") > 0;
	int			n = ml_json_size(matrix);

	ml_chart_text(out, ROWS_BEGIN);
	for (int i = 0; i < n; i++)
	{
		double		actual = 0;
		double		predicted = 0;

		for (int j = 0; j < n; j++)
		{
			actual += ml_json_at(ml_json_item(matrix, i), j);
			predicted += ml_json_at(ml_json_item(matrix, j), i);
		}
		for (int of = known ? 0 : 1; of < 2; of++)
		{
			row_begin(out);
			field_text(out, "of", of ? "predicted" : "actual");
			field_text(out, "class", ml_chart_label(chart, i));
			field_number(out, "n", of ? predicted : actual);
			appendStringInfoChar(out, '}');
		}
	}
	ml_chart_text(out, ROWS_END ", 'mark': {'type': 'bar', 'tooltip': true}, 'encoding': {"
				  "'x': {'field': 'class', 'type': 'nominal', 'sort': null, 'title': 'class'");
	if (n <= FEW_CLASSES)
		ml_chart_text(out, LEVEL_LABELS);
	ml_chart_text(out, "}, 'xOffset': {'field': 'of', 'type': 'nominal'}, " COUNTED ", 'color': {'field': 'of', 'type': 'nominal', 'title': null}}");
}

static void
draw_distribution(const MlChart *chart, StringInfo out)
{
	JsonbContainer *histogram = ml_json_member(chart->curves, "histogram");
	bool		known = ml_json_number(chart->curves, "rows") > 0;
	int			classes = chart->model->classes;
	const char *color;

	if (classes > 2)
	{
		distribution_of_classes(chart, out);
		return;
	}
	ml_chart_text(out, ROWS_BEGIN);
	if (classes == 2)
	{
		histogram_rows(histogram, "negative", known ? chart->model->labels[0] : "predicted", out);
		if (known)
			histogram_rows(histogram, "positive", chart->model->labels[1], out);
		ml_chart_text(out, ROWS_END ", 'mark': {'type': 'bar', 'tooltip': true}, 'encoding': {"
					  BINNED("predicted probability") ", " COUNTED);
		if (known)
			ml_chart_text(out, ", 'color': {'field': 'of', 'type': 'nominal', 'sort': null, 'title': 'actual'}");
		appendStringInfoChar(out, '}');
		return;
	}
	/* Both layers have one scale. */
	color = known ? ", 'color': {'field': 'of', 'type': 'nominal', 'title': null, 'scale': {'domain': ['predicted', 'actual']}}" : "";
	histogram_rows(histogram, "predicted", "predicted", out);
	histogram_rows(histogram, "actual", "actual", out);
	if (known)
		histogram_end(histogram, "actual", out);
	ml_chart_text(out, ROWS_END ", 'layer': [{'transform': [{'filter': {'field': 'of', 'equal': 'predicted'}}], "
				  "'mark': {'type': 'bar', 'tooltip': true, 'opacity': 0.7}, 'encoding': {" BINNED("value") ", " COUNTED);
	ml_chart_text(out, color);
	ml_chart_text(out, "}}");
	if (known)
	{
		ml_chart_text(out, ", {'transform': [{'filter': {'field': 'of', 'equal': 'actual'}}], "
					  "'mark': {'type': 'line', 'interpolate': 'step-after'}, 'encoding': {"
					  "'x': {'field': 'low', 'type': 'quantitative'}, " COUNTED);
		ml_chart_text(out, color);
		ml_chart_text(out, "}}");
	}
	appendStringInfoChar(out, ']');
}

/* ---- how it was learned ---- */

JsonbContainer *
ml_chart_learning(const MlChart *chart)
{
	JsonbContainer *learning = ml_json_member(chart->model->info ? &chart->model->info->root : NULL, "learning");

	return ml_json_size(ml_json_member(learning, "points")) > 0 ? learning : NULL;
}

static void
draw_learning(const MlChart *chart, StringInfo out)
{
	JsonbContainer *learning = ml_chart_learning(chart);
	JsonbContainer *points = ml_json_member(learning, "points");
	double		best = ml_json_number(learning, "best");
	int			last = ml_json_size(points) - 1;
	double		span = ml_json_at(ml_json_item(points, last), 0) - ml_json_at(ml_json_item(points, 0), 0);

	ml_chart_text(out, ROWS_BEGIN);
	for (int i = 0; i < ml_json_size(points); i++)
		for (int held_out = 0; held_out < 2; held_out++)
		{
			double		value = ml_json_at(ml_json_item(points, i), 1 + held_out);

			if (!isfinite(value))
				continue;
			row_begin(out);
			field_text(out, "of", held_out ? "rows kept apart" : "rows learned from");
			field_number(out, "iterations", ml_json_at(ml_json_item(points, i), 0));
			field_number(out, "objective", value);
			appendStringInfoChar(out, '}');
		}
	ml_chart_text(out, ROWS_END ", 'layer': [");
	if (isfinite(best))
		ml_chart_text(out, psprintf("{'data': {'values': [{'x': %.0f}]}, 'mark': {'type': 'rule', 'strokeDash': [4, 4], 'opacity': 0.6}, "
									"'encoding': {'x': {'field': 'x', 'type': 'quantitative'}}}, ", best));
	ml_chart_text(out, ml_json_size(points) <= 30 ? "{'mark': {'type': 'line', 'point': true, 'tooltip': true}" :
				  "{'mark': {'type': 'line', 'tooltip': true}");
	/* There are no halves of iterations. */
	ml_chart_text(out, psprintf(", 'encoding': {'x': {'field': 'iterations', 'type': 'quantitative', 'title': 'iterations', 'axis': {'tickCount': %d}}, ",
								(int) fmin(fmax(span, 1), 10)));
	ml_chart_text(out, "'y': {'field': 'objective', 'type': 'quantitative', 'title': 'objective', 'scale': {'zero': false}}");
	if (isfinite(best))
		ml_chart_text(out, ", 'color': {'field': 'of', 'type': 'nominal', 'sort': null, 'title': null}");
	ml_chart_text(out, "}}]");
}

/* ---- from queries ---- */

static void
draw_importance(const MlChart *chart, StringInfo out)
{
	MlAnswer   *answer = ml_report_importance(chart);
	double		rest = 0;

	ml_chart_text(out, ROWS_BEGIN);
	for (int i = 0; i < answer->rows; i++)
	{
		double		value = strtod(ml_answer_get(answer, i, 1), NULL);

		if (i >= MOST_FEATURES)
		{
			rest += value;
			continue;
		}
		row_begin(out);
		field_text(out, "feature", ml_answer_get(answer, i, 0));
		field_number(out, "importance", value);
		appendStringInfoChar(out, '}');
	}
	if (answer->rows > MOST_FEATURES)
	{
		row_begin(out);
		field_text(out, "feature", psprintf("(%d others)", answer->rows - MOST_FEATURES));
		field_number(out, "importance", rest);
		appendStringInfoChar(out, '}');
	}
	ml_chart_text(out, ROWS_END);
	appendStringInfo(out, ", \"height\": %d", BAR_HEIGHT * Max(1, Min(answer->rows, MOST_FEATURES + 1)));
	ml_chart_text(out, ", 'mark': {'type': 'bar', 'tooltip': true}, 'encoding': {"
				  "'y': {'field': 'feature', 'type': 'nominal', 'sort': null, 'title': null}, "
				  "'x': {'field': 'importance', 'type': 'quantitative', 'title': ");
	ml_chart_text(out, chart->source && chart->model->target ? "'loss of the main metric'}}" :
				  chart->source ? "'mean size of the contribution'}}" : "'share', 'axis': {'format': '%', 'tickCount': 5, 'labelOverlap': true}}}");
}

/* The latest versions that were measured as the current one was. */
static MlAnswer *
measured_versions(const MlChart *chart)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(pnstrdup(chart->name, strcspn(chart->name, "@")))};

	return ml_report_ask("SELECT version, metric, value, baseline FROM ml.versions WHERE model = $1 AND value IS NOT NULL "
						 "AND metric = (SELECT v.metric FROM ml.versions v WHERE v.model = $1 AND v.is_current) "
						 "ORDER BY version DESC LIMIT 100", 1, types, values);
}

static void
draw_versions(const MlChart *chart, StringInfo out)
{
	MlAnswer   *answer = measured_versions(chart);

	ml_chart_text(out, ROWS_BEGIN);
	for (int i = answer->rows; i-- > 0;)
		for (int baseline = 0; baseline < 2; baseline++)
		{
			const char *value = ml_answer_get(answer, i, 2 + baseline);

			if (value == NULL)
				continue;
			row_begin(out);
			field_number(out, "version", strtod(ml_answer_get(answer, i, 0), NULL));
			field_text(out, "of", baseline ? "baseline" : "model");
			field_number(out, "value", strtod(value, NULL));
			appendStringInfoChar(out, '}');
		}
	ml_chart_text(out, ROWS_END ", 'mark': {'type': 'line', 'point': true, 'tooltip': true}, 'encoding': {"
				  "'x': {'field': 'version', 'type': 'ordinal', 'title': 'version', 'axis': {'labelAngle': 0}}, 'y': {'field': 'value', 'type': 'quantitative', "
				  "'scale': {'zero': false}, 'title': ");
	escape_json(out, ml_answer_get(answer, 0, 1));
	ml_chart_text(out, "}, 'color': {'field': 'of', 'type': 'nominal', 'sort': null, 'title': null}, "
				  "'strokeDash': {'field': 'of', 'type': 'nominal', 'sort': null, 'title': null}}");
}

/* Seconds of a time as ml_report_drift has it. */
static double
seconds(const char *at)
{
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	double		second;

	if (sscanf(at, "%d-%d-%dT%d:%d:%lf", &year, &month, &day, &hour, &minute, &second) != 6)
		elog(ERROR, "unexpected time \"%s\"", at);
	return 86400.0 * date2j(year, month, day) + 3600.0 * hour + 60.0 * minute + second;
}

static void
draw_drift(const MlChart *chart, StringInfo out)
{
	MlAnswer   *answer = ml_report_drift(chart->model_id);
	/* What was caught up at one go lies at one point of time. */
	bool		at_once = answer->rows > 0 &&
		seconds(ml_answer_get(answer, answer->rows - 1, 0)) - seconds(ml_answer_get(answer, 0, 0)) < AT_ONCE;
	const char *threshold = answer->rows > 0 ? ml_answer_get(answer, answer->rows - 1, 4) : NULL;

	ml_chart_text(out, ROWS_BEGIN);
	for (int i = 0; i < answer->rows; i++)
	{
		row_begin(out);
		field_text(out, "at", ml_answer_get(answer, i, 0));
		field_number(out, "run", strtod(ml_answer_get(answer, i, 1), NULL));
		field_text(out, "feature", ml_answer_get(answer, i, 2));
		field_number(out, "psi", strtod(ml_answer_get(answer, i, 3), NULL));
		field_text(out, "verdict", ml_answer_get(answer, i, 5));
		appendStringInfoChar(out, '}');
	}
	ml_chart_text(out, ROWS_END ", 'layer': [");
	if (threshold)
		ml_chart_text(out, psprintf("{'data': {'values': [{'y': %.7g}]}, 'mark': {'type': 'rule', 'strokeDash': [4, 4], 'opacity': 0.6}, "
									"'encoding': {'y': {'field': 'y', 'type': 'quantitative'}}}, ", strtod(threshold, NULL)));
	ml_chart_text(out, "{'mark': {'type': 'line', 'point': true, 'tooltip': true}, 'encoding': {");
	ml_chart_text(out, at_once ? "'x': {'field': 'run', 'type': 'ordinal', 'title': 'run', 'axis': {'labelAngle': 0}}, " :
				  "'x': {'field': 'at', 'type': 'temporal', 'title': null}, ");
	ml_chart_text(out, "'y': {'field': 'psi', 'type': 'quantitative', 'title': 'population stability index'}, "
				  "'color': {'field': 'feature', 'type': 'nominal', 'title': null}, "
				  "'tooltip': [{'field': 'feature', 'type': 'nominal'}, {'field': 'run', 'type': 'ordinal'}, "
				  "{'field': 'at', 'type': 'temporal', 'format': '%Y-%m-%d %H:%M'}, "
				  "{'field': 'psi', 'type': 'quantitative', 'format': '.4f'}, {'field': 'verdict', 'type': 'nominal'}]}}]");
}

/* ---- kinds ---- */

static const char *
needs_classes(const MlChart *chart)
{
	return chart->model->classes == 0 ? "the model does not predict classes" : NULL;
}

static const char *
needs_ranks(const MlChart *chart)
{
	if (chart->model->classes > ML_CURVES_RANKED)
		return psprintf("the model has more than %d classes", ML_CURVES_RANKED);
	return needs_classes(chart);
}

static const char *
needs_matrix(const MlChart *chart)
{
	if (chart->curves && chart->model->classes > 0 && ml_json_size(ml_json_member(chart->curves, "confusion")) == 0)
		return "the model has more than 1000 classes";
	return needs_classes(chart);
}

static const char *
needs_value(const MlChart *chart)
{
	return chart->model->task != ML_REGRESSION ? "the model does not predict a number with a target" : NULL;
}

static const char *
needs_name(const MlChart *chart)
{
	return chart->name == NULL ? "the model is a value and has no name" : NULL;
}

static const char *
needs_measured(const MlChart *chart)
{
	const char *why = needs_name(chart);

	/* such as a model without target; an axis without values has no ends */
	if (why == NULL && measured_versions(chart)->rows == 0)
		why = "the current version has no metric that a version was measured by";
	return why;
}

static const char *
needs_monitoring(const MlChart *chart)
{
	if (!ml_report_monitored() || ml_report_drift(chart->model_id)->rows == 0)
		return "no batch of the model's has been monitored";
	return NULL;
}

static const char *
needs_learning(const MlChart *chart)
{
	return ml_chart_learning(chart) == NULL ? "its training kept no objective by iteration" : NULL;
}

static const char *
needs_named_monitoring(const MlChart *chart)
{
	return chart->name == NULL ? needs_name(chart) : needs_monitoring(chart);
}

static const char *
needs_nothing(const MlChart *chart)
{
	return NULL;
}

static const char *
needs_distribution(const MlChart *chart)
{
	return chart->model->classes > 2 ? needs_matrix(chart) : NULL;
}

const MlChartKind ml_chart_kinds[] = {
	{"roc", "ROC curve", true, true, needs_ranks, draw_roc, 300},
	{"pr", "Precision and recall", true, true, needs_ranks, draw_pr, 300},
	{"calibration", "Calibration", true, true, needs_classes, draw_calibration, 300},
	{"confusion", "Confusion matrix", true, true, needs_matrix, draw_confusion, 300},
	{"residuals", "Residuals", true, true, needs_value, draw_residuals, 300},
	{"distribution", "Distribution of predictions", true, false, needs_distribution, draw_distribution, 240},
	{"importance", "Importance of the features", false, false, needs_nothing, draw_importance, 0},
	{"learning", "Learning curve", false, false, needs_learning, draw_learning, 260},
	{"drift", "Drift", false, false, needs_named_monitoring, draw_drift, 260},
	{"versions", "Versions", false, false, needs_measured, draw_versions, 220},
	{NULL}
};

const MlChartKind *
ml_chart_kind(const char *name)
{
	StringInfoData known;

	initStringInfo(&known);
	for (const MlChartKind *kind = ml_chart_kinds; kind->name; kind++)
	{
		if (strcmp(kind->name, name) == 0)
			return kind;
		appendStringInfo(&known, "%s%s", known.len > 0 ? ", " : "", kind->name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no plot of kind \"%s\"", name),
			 errhint("Kinds are: %s.", known.data)));
}

void
ml_chart_write(const MlChart *chart, const MlChartKind *kind, StringInfo out)
{
	ml_chart_text(out, "{'$schema': 'https://vega.github.io/schema/vega-lite/v5.json'");
	field_text(out, "description", psprintf("%s%s%s", kind->title, chart->name ? " of " : "", chart->name ? chart->name : ""));
	if (!chart->wide)
	{
		field_text(out, "title", kind->title);
		ml_chart_text(out, ", 'width': 400");
	}
	else
		ml_chart_text(out, ", 'width': 'container', 'autosize': {'type': 'fit-x', 'contains': 'padding'}");
	if (kind->height > 0)
		appendStringInfo(out, ", \"height\": %d", kind->height);
	kind->draw(chart, out);
	appendStringInfoChar(out, '}');
}
