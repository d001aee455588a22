/*
 * report.h - the page of ml_report; shared by plot.c, page.c and report.c.
 */
#ifndef ML_REPORT_REPORT_H
#define ML_REPORT_REPORT_H

#include "report/chart.h"
#include "fmgr.h"

/* The model of argument 0, a name or a value, and whether the caller may do that with it. */
extern void ml_chart_open(MlChart *chart, FunctionCallInfo fcinfo, MlPrivilege need);

/* ---- page.c: HTML, all of it ASCII ---- */

extern void ml_html(StringInfo out, const char *markup);	/* ours, as it stands */
extern void ml_html_text(StringInfo out, const char *text); /* anybody's, escaped; NULL: a dash */
extern void ml_html_json(StringInfo out, const char *json);	/* for <script type="application/json"> */
extern void ml_html_cell(StringInfo out, const char *text, bool number);
extern char *ml_html_digits(double value);	/* as the page writes numbers; NULL for NaN and infinity */
extern void ml_html_number(StringInfo out, double value);	/* a cell; NaN: a dash */

/* Puts what stands in the body between head and scripts, with a policy that allows these scripts and styles alone. */
extern char *ml_html_page(const char *title, const char *body);

#endif
