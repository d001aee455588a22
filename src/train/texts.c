/*
 * texts.c - what looks wrong in the values of a text column: numbers that nobody
 * cast, and values that differ in case or blanks alone.  Warnings only; the
 * values are taken as they are.  Memory belongs to the caller's context.
 */
#include "train/train.h"

#include "catalog/pg_collation_d.h"
#include "utils/formatting.h"

#define DIFFERENT 10			/* so many different numbers are no codes of a few groups */
#define SHARE 0.8				/* the rest says "N/A", "-", ... */
#define LOOKED_AT 1000			/* values, the first ones: enough to tell */
#define LONGEST 64				/* bytes: what is longer is neither a number nor a category */

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void
trim(const char **bytes, int *len)
{
	while (*len > 0 && is_blank((*bytes)[*len - 1]))
		(*len)--;
	while (*len > 0 && is_blank(**bytes))
		(*bytes)++, (*len)--;
}

/* Digits are passed over; how many they were. */
static int
digits(const char **s, const char *end)
{
	const char *start = *s;

	while (*s < end && is_digit(**s))
		(*s)++;
	return (int) (*s - start);
}

/*
 * Digits with a sign, separators, an exponent, a dollar or percent sign.  A code is none:
 * its leading zero is followed by digits, or it has separators as a date or an address has.
 */
static bool
looks_like_number(const char *s, int len)
{
	const char *end;
	int			n;
	int			points = 0;
	int			commas = 0;

	if (len > 0 && (*s == '-' || *s == '+'))
		s++, len--;
	if (len > 0 && *s == '$')
		s++, len--;
	if (len > 0 && s[len - 1] == '%')
		len--;
	trim(&s, &len);
	if (len > 1 && s[0] == '0' && is_digit(s[1]))
		return false;
	end = s + len;
	n = digits(&s, end);
	while (s < end && (*s == '.' || *s == ','))
	{
		if (*s++ == '.')
			points++;
		else
			commas++;
		n += digits(&s, end);
	}
	if (n > 0 && s < end && (*s == 'e' || *s == 'E'))
	{
		s++;
		if (s < end && (*s == '-' || *s == '+'))
			s++;
		if (digits(&s, end) == 0)
			return false;
	}
	return n > 0 && s == end && points + commas <= n && (points <= 1 || (commas <= 1 && points * 3 < n)) &&
		!(commas == 0 && points > 1 && n < 3 * points + 1);
}

/* Three groups of digits with - / or . between them, one of four digits; a time may follow. */
static bool
looks_like_date(const char *s, int len)
{
	const char *end = s + len;
	int			first = digits(&s, end);
	char		separator = s < end ? *s : 0;
	int			second;
	int			third;

	if (separator != '-' && separator != '/' && separator != '.')
		return false;
	s++;
	second = digits(&s, end);
	if (s == end || *s++ != separator)
		return false;
	third = digits(&s, end);
	return second >= 1 && second <= 2 && (s == end || *s == ' ' || *s == 'T') &&
		((first == 4 && third >= 1 && third <= 2) || (third == 4 && first >= 1 && first <= 2));
}

/* "numbers" or "dates" when nearly all values of a text column are, else NULL; how many is set. */
const char *
ml_texts_look_like(const MlDict *dict, int *share, int *of)
{
	int			numbers = 0;
	int			dates = 0;

	*of = Min(ml_dict_size(dict), LOOKED_AT);
	for (int code = 0; code < *of; code++)
	{
		int			len;
		const char *bytes = ml_dict_get(dict, code, &len);

		trim(&bytes, &len);
		if (len > LONGEST)
			continue;
		numbers += looks_like_number(bytes, len);
		dates += looks_like_date(bytes, len);
	}
	*share = Max(numbers, dates);
	if (*share < DIFFERENT || *share < SHARE * *of)
		return NULL;
	return numbers > dates ? "numbers" : "dates";
}

/* The first two values that are one when case and blanks around them do not count. */
static bool
find_variants(const MlDict *dict, const char **first, const char **second)
{
	int			n = Min(ml_dict_size(dict), LOOKED_AT);
	int		   *codes = palloc(Max(n, 1) * sizeof(int));
	MlDict	   *seen = ml_dict_create(CurrentMemoryContext);

	for (int code = 0; code < n; code++)
	{
		int			len;
		const char *bytes = ml_dict_get(dict, code, &len);
		char	   *lower;
		int			known = ml_dict_size(seen);
		int			at;

		trim(&bytes, &len);
		if (len > LONGEST)
			continue;
		lower = str_tolower(bytes, len, DEFAULT_COLLATION_OID);
		at = ml_dict_intern(seen, lower, strlen(lower));
		pfree(lower);
		if (at == known)
			codes[at] = code;
		else
		{
			*first = ml_dict_get(dict, codes[at], &len);
			*second = ml_dict_get(dict, code, &len);
			return true;
		}
	}
	return false;
}

/* `what` is column or target. */
void
ml_warn_texts(const char *what, const char *name, const MlDict *dict)
{
	const char *first;
	const char *second;
	int			share;
	int			of;
	const char *look = ml_texts_look_like(dict, &share, &of);

	if (look)
		ml_warn("%s \"%s\" is text, but %d of %d different values look like %s: if they are, cast it in the source",
				what, name, share, of, look);
	if (find_variants(dict, &first, &second))
		ml_warn("%s \"%s\" has values that differ in case or blanks alone: \"%s\" and \"%s\"", what, name,
				first, second);
}
