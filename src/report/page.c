/*
 * page.c - the HTML page around a report.
 *
 * The page is ASCII in whatever encoding the database has: other characters are
 * written as references, in scripts as escapes.  Its Content-Security-Policy
 * allows the scripts and the style sheet that are in it, by their digests, and
 * nothing else: no network, no inline handler, no eval (Vega interprets its
 * expressions).  The libraries lie in the extension's share directory under fixed
 * names (docs/decisions/013).
 */
#include "report/report.h"

#include <math.h>

#include "common/string.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"

static const char *const libraries[] = {"vega.min.js", "vega-lite.min.js", "vega-embed.min.js"};

static const char style[] =
":root{--bg:#fff;--ink:#1d2329;--muted:#5b6570;--line:#dde2e8;--card:#f6f8fa;--accent:#285a8e;--bad:#a8321f;--good:#2b7045;"
"--c1:#3f76b5;--c2:#d9772e;--c3:#4b9a64;--c4:#a45aa8;--c5:#b89a1c;--c6:#3aa0a8;--c7:#c75a72;--c8:#7a6bb8;--c9:#8a6a4a;--c10:#7d8894}"
"@media screen and (prefers-color-scheme:dark){:root{--bg:#14181c;--ink:#e6e9ec;--muted:#9ba5af;--line:#2e363e;--card:#1b2127;"
"--accent:#85b6ea;--bad:#f08b78;--good:#7cc496;--c1:#6ea5e0;--c2:#ec9d5c;--c3:#72c08b;--c4:#c98ccd;--c5:#d6bd52;--c6:#63c3cb;"
"--c7:#e58ca0;--c8:#a99be0;--c9:#bb9a78;--c10:#a3adb8}}"
"*{box-sizing:border-box}"
"body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,\"Segoe UI\",Roboto,\"Helvetica Neue\",sans-serif}"
"main,header,footer{max-width:64rem;margin:0 auto;padding:0 1.5rem}"
"header{padding-top:2.5rem}"
"h1{font-size:2rem;line-height:1.2;margin:0;overflow-wrap:anywhere}"
"h2{font-size:1.25rem;margin:2.5rem 0 .75rem;padding-bottom:.3rem;border-bottom:1px solid var(--line)}"
"h3{font-size:1rem;margin:0 0 .5rem}"
"p{margin:.4rem 0;max-width:46rem}"
".sub{color:var(--muted);margin:.25rem 0 1.25rem;max-width:none}"
".badge{display:inline-block;font-size:.8rem;border:1px solid var(--line);border-radius:1rem;padding:.05rem .6rem;margin:0 .35rem .35rem 0;"
"overflow-wrap:anywhere}"
".bad{color:var(--bad)}.good{color:var(--good)}"
".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1.25rem 0}"
".tile{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem}"
".tile b{display:block;font-size:1.5rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}"
".tile span{color:var(--muted);font-size:.85rem}"
".scroll{overflow-x:auto}.scroll+.scroll{margin-top:1rem}"
"table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}"
"caption{text-align:left;color:var(--muted);padding-bottom:.3rem}"
"th,td{text-align:left;vertical-align:top;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line);overflow-wrap:break-word}"
"thead th{color:var(--muted);font-weight:500;white-space:nowrap}"
"tbody th{font-weight:500}"
"th.n,td.n{text-align:right;white-space:nowrap}"
"table.facts th{width:14rem;color:var(--muted);font-weight:400}"
"code{font:.87em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere}"
".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,27rem),1fr));gap:1rem}"
"figure{margin:0;background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:1rem;min-width:0}"
"figcaption{color:var(--muted);font-size:.85rem;margin:.5rem 0}"
".chart{width:100%;color:var(--ink)}.chart svg{display:block;max-width:100%}"
"details{font-size:.85rem}summary{cursor:pointer;color:var(--accent)}"
"details .scroll{max-height:20rem;overflow:auto}"
"ul{padding-left:1.2rem;margin:.4rem 0}"
"footer{color:var(--muted);font-size:.8rem;margin-top:3rem;padding-bottom:2rem}"
"#vg-tooltip-element{position:fixed;z-index:9;visibility:hidden;background:var(--bg);color:var(--ink);border:1px solid var(--line);"
"border-radius:.3rem;padding:.4rem .6rem;font-size:.8rem;box-shadow:0 2px 6px #0003;pointer-events:none}"
"#vg-tooltip-element.visible{visibility:visible}"
"#vg-tooltip-element table{width:auto}#vg-tooltip-element td{border:0;padding:0 .5rem 0 0}#vg-tooltip-element td.key{color:var(--muted)}"
"@media print{body{font-size:11px}main,header,footer{max-width:none;padding:0}h2{break-after:avoid}"
"figure,.tile,tr{break-inside:avoid}details:not([open]){display:none}.charts{grid-template-columns:1fr 1fr}}";

/* Colours are those of the style sheet, so that charts follow it without being drawn anew. */
static const char script[] =
"(function(){'use strict';"
"var ink='var(--ink)',muted='var(--muted)',line='var(--line)',first='var(--c1)',category=[];"
"for(var i=1;i<=10;i++)category.push('var(--c'+i+')');"
"var config={background:null,font:'system-ui, sans-serif',view:{stroke:null},"
"axis:{labelColor:muted,titleColor:muted,titleFontWeight:'normal',domainColor:line,tickColor:line,gridColor:line,gridOpacity:.7,labelLimit:160,labelOverlap:true},"
"legend:{labelColor:ink,titleColor:muted,titleFontWeight:'normal',orient:'top',labelLimit:200,columns:4},"
"range:{category:category},mark:{color:first},line:{strokeWidth:2},rule:{color:muted},text:{color:ink}};"
"var options={renderer:'svg',actions:false,ast:true,defaultStyle:false,config:config,tooltip:{disableDefaultStyle:true}};"
"document.querySelectorAll('script[data-chart]').forEach(function(s){"
"var el=document.getElementById(s.getAttribute('data-chart'));"
"vegaEmbed(el,JSON.parse(s.textContent),options).then(function(){el.setAttribute('data-drawn','')}).catch(console.error)})"
"})();";

/* ---- text ---- */

void
ml_html(StringInfo out, const char *markup)
{
	appendStringInfoString(out, markup);
}

/*
 * The next character of UTF-8 text; U+FFFD for bytes that are none, which a
 * database of encoding SQL_ASCII may have.
 */
static pg_wchar
next_character(const unsigned char **at)
{
	const unsigned char *c = *at;
	int			len = pg_utf_mblen(c);

	for (int i = 0; i < len; i++)
		if (c[i] == '\0')
			len = 0;
	if (len == 0 || !pg_utf8_islegal(c, len))
	{
		*at = c + 1;
		return 0xFFFD;
	}
	*at = c + len;
	return utf8_to_unicode(c);
}

static const unsigned char *
as_utf8(const char *text)
{
	int			encoding = GetDatabaseEncoding();

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return (const unsigned char *) text;
	return (const unsigned char *) pg_server_to_any(text, strlen(text), PG_UTF8);
}

void
ml_html_text(StringInfo out, const char *text)
{
	const unsigned char *at;

	if (text == NULL)
	{
		appendStringInfoString(out, "&#8211;");
		return;
	}
	for (at = as_utf8(text); *at != '\0';)
	{
		pg_wchar	c = next_character(&at);

		if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'' || c > 0x7e)
			appendStringInfo(out, "&#%u;", c >= 0x7f && c < 0xa0 ? 0xFFFD : (unsigned) c);
		else if (c < ' ' && c != '\n' && c != '\t')
			appendStringInfoString(out, "&#65533;");
		else
			appendStringInfoChar(out, (char) c);
	}
}

/* A character of a script's string as an escape. */
static void
escape_character(StringInfo out, pg_wchar c)
{
	if (c > 0xFFFF)
		appendStringInfo(out, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + ((c - 0x10000) & 0x3FF));
	else
		appendStringInfo(out, "\\u%04x", c);
}

/* In JSON these characters stand in strings alone, so that an escape means the same. */
void
ml_html_json(StringInfo out, const char *json)
{
	for (const unsigned char *at = as_utf8(json); *at != '\0';)
	{
		pg_wchar	c = next_character(&at);

		if (c == '<' || c == '>' || c == '&' || c > 0x7e)
			escape_character(out, c);
		else
			appendStringInfoChar(out, (char) c);
	}
}

void
ml_html_cell(StringInfo out, const char *text, bool number)
{
	ml_html(out, number ? "<td class=\"n\">" : "<td>");
	ml_html_text(out, text);
	ml_html(out, "</td>");
}

/* Four digits, more where these would be whole; a share that is almost 1 is not 1.  NULL when it is no number. */
char *
ml_html_digits(double value)
{
	double		size = fabs(value);

	if (!isfinite(value))
		return NULL;
	return psprintf(size >= 1e4 && size < 1e15 ? "%.0f" : size > 0.9995 && size < 1 ? "%.8g" : "%.4g", value);
}

void
ml_html_number(StringInfo out, double value)
{
	ml_html_cell(out, ml_html_digits(value), true);
}

/* ---- scripts ---- */

/* A library: as it lies in the share directory, but for characters that are not ASCII. */
static char *
read_library(const char *name)
{
	char		share[MAXPGPATH];
	char		path[MAXPGPATH * 2];
	StringInfoData bytes;
	StringInfoData out;
	FILE	   *file;
	int			got;

	get_share_path(my_exec_path, share);
	snprintf(path, sizeof(path), "%s/extension/ml_ext/%s", share, name);
	file = AllocateFile(path, PG_BINARY_R);
	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\": %m", path),
				 errhint("Installing the extension puts it there.")));
	initStringInfo(&bytes);
	do
	{
		enlargeStringInfo(&bytes, 65536);
		got = (int) fread(bytes.data + bytes.len, 1, 65536, file);
		bytes.len += got;
	} while (got > 0);
	if (ferror(file))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", path)));
	FreeFile(file);
	bytes.data[bytes.len] = '\0';
	initStringInfo(&out);
	for (const unsigned char *at = (const unsigned char *) bytes.data; *at != '\0';)
		if (*at < 0x80)
			appendStringInfoChar(&out, (char) *at++);
		else
			escape_character(&out, next_character(&at));
	if (strstr(out.data, "</script") || strstr(out.data, "<!--"))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("file \"%s\" cannot stand in a page", path)));
	return out.data;
}

/* 'sha256-...' as a policy names what it allows. */
static void
append_digest(StringInfo out, const char *content)
{
	Datum		sha = DirectFunctionCall1(sha256_bytea, PointerGetDatum(cstring_to_text(content)));
	Datum		base64 = DirectFunctionCall2(binary_encode, sha, CStringGetTextDatum("base64"));

	appendStringInfo(out, " 'sha256-%s'", TextDatumGetCString(base64));
}

char *
ml_html_page(const char *title, const char *body)
{
	char	   *code[lengthof(libraries)];
	StringInfoData out;

	initStringInfo(&out);
	ml_html(&out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
			"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; base-uri 'none'; form-action 'none'; script-src");
	for (int i = 0; i < lengthof(libraries); i++)
	{
		code[i] = read_library(libraries[i]);
		append_digest(&out, code[i]);
	}
	append_digest(&out, script);
	ml_html(&out, "; style-src");
	append_digest(&out, style);
	ml_html(&out, "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
			"<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
	ml_html_text(&out, title);
	ml_html(&out, "</title>\n<style>");
	ml_html(&out, style);
	ml_html(&out, "</style>\n</head>\n<body>\n");
	ml_html(&out, body);
	for (int i = 0; i < lengthof(libraries); i++)
	{
		ml_html(&out, "<script>");
		ml_html(&out, code[i]);
		ml_html(&out, "</script>\n");
	}
	ml_html(&out, "<script>");
	ml_html(&out, script);
	ml_html(&out, "</script>\n</body>\n</html>\n");
	return out.data;
}
