/*
 * schema.c - SQL values become cells: raw doubles, before encoding.
 *
 * A converter is looked up once per query for each column; then every value
 * goes through one switch.  Numbers need no allocation (numeric values that do
 * not fit a double's 53 bits do), text is read where it lies unless it is
 * toasted, and what is detoasted is freed here.
 *
 * A category is the text of the value.  Numbers, booleans, dates and times
 * have one text each that no setting (extra_float_digits, DateStyle, TimeZone)
 * changes and that jsonb gives too: 3, 3.00 and 3e0 are all "3".
 */
#include "core/schema.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/pg_cast.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "common/shortest_dec.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* What ml_convert does with a value. */
typedef enum How
{
	HOW_INT2 = 1,
	HOW_INT4,
	HOW_INT8,
	HOW_FLOAT4,
	HOW_FLOAT8,
	HOW_NUMERIC,
	HOW_BOOL,
	HOW_DATE,
	HOW_TIMESTAMP,
	HOW_INTERVAL,
	HOW_TIME,
	HOW_TEXT,					/* text, varchar and what is stored like them */
	HOW_BPCHAR,					/* without the padding, as its cast to text */
	HOW_NAME,
	HOW_LABEL,					/* a number, boolean, date or time as a category */
	HOW_OUTPUT,					/* any other category, by its output function */
	HOW_ARRAY,					/* + how of the elements */
	HOW_CAST_ARRAY = 2 * HOW_ARRAY	/* likewise, after a cast to the array: vector */
} How;

/* Longest text that format_label writes into its caller's buffer. */
#define LABEL_SIZE Max(MAXDATELEN + 1, 32)

/* How values of a type become one number, or 0. */
static int
how_number(Oid type)
{
	switch (type)
	{
		case INT2OID:
			return HOW_INT2;
		case INT4OID:
			return HOW_INT4;
		case INT8OID:
			return HOW_INT8;
		case FLOAT4OID:
			return HOW_FLOAT4;
		case FLOAT8OID:
			return HOW_FLOAT8;
		case NUMERICOID:
			return HOW_NUMERIC;
		default:
			return 0;
	}
}

/*
 * Whether an object is pgvector's own.  Anyone may name a type so and give it a
 * cast, which would then run with the rights of whoever reads the column.
 */
static bool
is_of_pgvector(Oid class, Oid object)
{
	Oid			extension = getExtensionOfObject(class, object);
	char	   *name = OidIsValid(extension) ? get_extension_name(extension) : NULL;

	return name != NULL && strcmp(name, "vector") == 0;
}

/* The function of pgvector's cast from `source` to float4[] or float8[], or InvalidOid. */
static Oid
vector_cast(Oid source, Oid *element)
{
	static const Oid targets[][2] = {{FLOAT4ARRAYOID, FLOAT4OID}, {FLOAT8ARRAYOID, FLOAT8OID}};

	for (int i = 0; i < lengthof(targets); i++)
	{
		HeapTuple	tuple = SearchSysCache2(CASTSOURCETARGET, ObjectIdGetDatum(source),
											ObjectIdGetDatum(targets[i][0]));
		Oid			func = InvalidOid;

		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_cast) GETSTRUCT(tuple))->castmethod == COERCION_METHOD_FUNCTION)
			func = ((Form_pg_cast) GETSTRUCT(tuple))->castfunc;
		ReleaseSysCache(tuple);
		if (OidIsValid(func) && is_of_pgvector(ProcedureRelationId, func))
		{
			*element = targets[i][1];
			return func;
		}
	}
	return InvalidOid;
}

/* Whether this is pgvector's type, wherever that extension lives. */
static bool
is_vector_type(Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = strcmp(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname), "vector") == 0;
	ReleaseSysCache(tuple);
	return result && is_of_pgvector(TypeRelationId, type);
}

/* How values of a type become several numbers, or 0; *func is the cast's function. */
static int
how_array(Oid type, Oid *func)
{
	Oid			element = get_element_type(type);
	int			base = HOW_ARRAY;
	int			how;

	*func = InvalidOid;
	if (!OidIsValid(element) && is_vector_type(type))
	{
		*func = vector_cast(type, &element);
		base = HOW_CAST_ARRAY;
	}
	if (!OidIsValid(element))
		return 0;
	how = how_number(getBaseType(element));
	return how == 0 ? 0 : base + how;
}

/* How values of a type become a category, or 0. */
static int
how_category(Oid type)
{
	char		category;
	bool		preferred;

	switch (type)
	{
		case TEXTOID:
		case VARCHAROID:
			return HOW_TEXT;
		case BPCHAROID:
			return HOW_BPCHAR;
		case NAMEOID:
			return HOW_NAME;
		case BOOLOID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
		case TIMEOID:
			return HOW_LABEL;
		case CHAROID:
		case UUIDOID:
			return HOW_OUTPUT;

			/* Their texts change with a setting. */
		case BYTEAOID:
		case MONEYOID:
		case INTERVALOID:
		case TIMETZOID:
			return 0;
	}
	if (how_number(type) != 0)
		return HOW_LABEL;

	get_type_category_preferred(type, &category, &preferred);
	switch (category)
	{
		case TYPCATEGORY_STRING:	/* citext, for instance */
		case TYPCATEGORY_ENUM:
		case TYPCATEGORY_NETWORK:
			return HOW_OUTPUT;
		default:
			return 0;
	}
}

MlKind
ml_kind_of_type(Oid type)
{
	Oid			base = getBaseType(type);
	Oid			func;
	char		category;
	bool		preferred;

	switch (base)
	{
		case BOOLOID:
			return ML_BOOLEAN;
		case DATEOID:
			return ML_DATE;
		case TIMESTAMPOID:
			return ML_TIMESTAMP;
		case TIMESTAMPTZOID:
			return ML_TIMESTAMPTZ;
		case INTERVALOID:
			return ML_INTERVAL;
		case TIMEOID:
			return ML_TIME;
		case CHAROID:
		case UUIDOID:
			return ML_CATEGORY;
	}
	if (how_number(base) != 0)
		return ML_NUMBER;
	if (how_array(base, &func) != 0)
		return ML_ARRAY;

	get_type_category_preferred(base, &category, &preferred);
	if (category == TYPCATEGORY_STRING || category == TYPCATEGORY_ENUM)
		return ML_CATEGORY;
	return 0;
}

/* How a base type is given for a kind of column, or 0. */
static int
how_for_kind(MlKind kind, Oid type, Oid *func)
{
	*func = InvalidOid;
	switch (kind)
	{
		case ML_NUMBER:
		case ML_BOOLEAN:
			return type == BOOLOID ? HOW_BOOL : how_number(type);
		case ML_CATEGORY:
			return how_category(type);
		case ML_DATE:
		case ML_TIMESTAMP:
		case ML_TIMESTAMPTZ:
			if (type == DATEOID)
				return HOW_DATE;
			return type == TIMESTAMPOID || type == TIMESTAMPTZOID ? HOW_TIMESTAMP : 0;
		case ML_INTERVAL:
			return type == INTERVALOID ? HOW_INTERVAL : 0;
		case ML_TIME:
			return type == TIMEOID ? HOW_TIME : 0;
		case ML_ARRAY:
			return how_array(type, func);
	}
	return 0;
}

/* The cure is known when text was given for something else. */
static void
type_mismatch(const MlColumn *column, Oid type)
{
	int			how = how_category(getBaseType(type));
	const char *needed = column->type ? column->type : "double precision";

	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" is of type %s where %s is expected",
					column->name, format_type_be(type), needed),
			 how == HOW_TEXT || how == HOW_BPCHAR
			 ? errhint("Cast it, as in %s::%s.", quote_identifier(column->name), needed) : 0));
}

void
ml_converter_init(MlConverter *converter, const MlColumn *column, Oid type, bool intern)
{
	Oid			func;
	bool		varlena;

	converter->column = column;
	converter->type = getBaseType(type);
	converter->how = how_for_kind(column->kind, converter->type, &func);
	converter->intern = intern;

	if (converter->how == 0)
		type_mismatch(column, type);

	if (converter->how == HOW_OUTPUT)
		getTypeOutputInfo(converter->type, &func, &varlena);
	if (OidIsValid(func))
		fmgr_info(func, &converter->out);
}

/* ---- numbers ---- */

/*
 * Numeric on disk: a header of 16 bits in the short form (sign, display scale,
 * weight), then digits of base 10,000.  A short coefficient over a small power
 * of ten is one exact division; everything else takes the server's way through
 * text.  The layout cannot change without a dump.
 */
#define NUMERIC_KIND_MASK 0xE000
#define NUMERIC_SHORT_POSITIVE 0x8000
#define NUMERIC_SHORT_NEGATIVE 0xA000
#define NUMERIC_WEIGHT_SIGN 0x0040
#define NUMERIC_WEIGHT_MASK 0x003F

static double
numeric_cell(Datum value)
{
	static const double powers[] = {1.0, 1e4, 1e8, 1e12, 1e16, 1e20};
	struct varlena *raw = (struct varlena *) DatumGetPointer(value);
	double		result;

	if (!VARATT_IS_EXTENDED(raw) || VARATT_IS_SHORT(raw))
	{
		const char *data = VARDATA_ANY(raw);
		int			ndigits = ((int) VARSIZE_ANY_EXHDR(raw) - 2) / 2;
		uint16		header;

		memcpy(&header, data, sizeof(header));
		if (ndigits <= 4 &&
			((header & NUMERIC_KIND_MASK) == NUMERIC_SHORT_POSITIVE ||
			 (header & NUMERIC_KIND_MASK) == NUMERIC_SHORT_NEGATIVE))
		{
			int			weight = (header & NUMERIC_WEIGHT_MASK) |
				((header & NUMERIC_WEIGHT_SIGN) ? ~NUMERIC_WEIGHT_MASK : 0);
			int			below = ndigits - 1 - weight;	/* base 10,000 digits after the point */
			int64		coefficient = 0;

			for (int i = 0; i < ndigits; i++)
			{
				int16		digit;

				memcpy(&digit, data + 2 + 2 * i, sizeof(digit));
				coefficient = coefficient * 10000 + digit;
			}
			if (coefficient <= (INT64CONST(1) << 53) && abs(below) < lengthof(powers))
			{
				result = below >= 0 ? (double) coefficient / powers[below]
					: (double) coefficient * powers[-below];
				return (header & NUMERIC_KIND_MASK) == NUMERIC_SHORT_NEGATIVE ? -result : result;
			}
		}
	}

	/* numeric_float8_no_overflow would leave a detoasted copy behind. */
	raw = (struct varlena *) PG_DETOAST_DATUM(value);
	result = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, PointerGetDatum(raw)));
	if ((Pointer) raw != DatumGetPointer(value))
		pfree(raw);
	return result;
}

static double
timestamp_cell(Timestamp value)
{
	if (TIMESTAMP_IS_NOBEGIN(value))
		return -INFINITY;
	if (TIMESTAMP_IS_NOEND(value))
		return INFINITY;
	return (double) value / USECS_PER_SEC;
}

static double
date_cell(DateADT value)
{
	if (DATE_IS_NOBEGIN(value))
		return -INFINITY;
	if (DATE_IS_NOEND(value))
		return INFINITY;
	return (double) value * SECS_PER_DAY;
}

static double
interval_cell(const Interval *value)
{
	if (INTERVAL_IS_NOBEGIN(value))
		return -INFINITY;
	if (INTERVAL_IS_NOEND(value))
		return INFINITY;
	return ((double) value->month * DAYS_PER_MONTH + value->day) * SECS_PER_DAY +
		(double) value->time / USECS_PER_SEC;
}

static double
number_cell(int how, Datum value)
{
	switch (how)
	{
		case HOW_INT2:
			return DatumGetInt16(value);
		case HOW_INT4:
			return DatumGetInt32(value);
		case HOW_INT8:
			return (double) DatumGetInt64(value);
		case HOW_FLOAT4:
			return DatumGetFloat4(value);
		case HOW_FLOAT8:
			return DatumGetFloat8(value);
		case HOW_NUMERIC:
			return numeric_cell(value);
		case HOW_BOOL:
			return DatumGetBool(value) ? 1 : 0;
	}
	elog(ERROR, "unexpected conversion %d", how);
	return 0;					/* keep the compiler quiet */
}

/* A boolean column takes numbers that are one. */
static void
check_boolean(const MlColumn *column, double value)
{
	if (value != 0 && value != 1 && !isnan(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value %g is out of range for boolean column \"%s\"", value, column->name),
				 errdetail("A number given for a boolean is 0 or 1.")));
}

/* ---- arrays ---- */

static void
check_length(const MlColumn *column, int length)
{
	if (length != column->cells)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" has %d elements where %d are expected",
						column->name, length, column->cells),
				 errdetail("Every row needs an array of the same length.")));
}

static void
check_dimensions(const MlColumn *column, int dimensions)
{
	if (dimensions > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" has an array of %d dimensions", column->name, dimensions),
				 errdetail("Only arrays of one dimension can be used.")));
}

/* A cast function may take the type modifier and whether the cast is explicit. */
static Datum
call_cast(FmgrInfo *func, Datum value)
{
	switch (func->fn_nargs)
	{
		case 1:
			return FunctionCall1(func, value);
		case 2:
			return FunctionCall2(func, value, Int32GetDatum(-1));
		default:
			return FunctionCall3(func, value, Int32GetDatum(-1), BoolGetDatum(false));
	}
}

/* The value as an array, after the cast if there is one; to be freed if it is a copy. */
static ArrayType *
array_of(MlConverter *converter, Datum value, int *how)
{
	if (converter->how > HOW_CAST_ARRAY)
	{
		*how = converter->how - HOW_CAST_ARRAY;
		value = call_cast(&converter->out, value);
	}
	else
		*how = converter->how - HOW_ARRAY;
	return DatumGetArrayTypeP(value);
}

static void
array_cells(const ArrayType *array, int how, double *cells)
{
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	const bits8 *nulls = ARR_NULLBITMAP(array);
	char	   *data = ARR_DATA_PTR(array);
	int16		len;
	bool		byval;
	char		align;

	if (nulls == NULL && how == HOW_FLOAT8)
	{
		memcpy(cells, data, (Size) n * sizeof(double));
		return;
	}

	get_typlenbyvalalign(ARR_ELEMTYPE(array), &len, &byval, &align);
	for (int i = 0; i < n; i++)
	{
		if (nulls != NULL && (nulls[i / 8] & (1 << (i % 8))) == 0)
		{
			cells[i] = NAN;
			continue;
		}
		cells[i] = number_cell(how, fetch_att(data, byval, len));
		data = att_addlength_pointer(data, len, data);
		data = (char *) att_align_nominal(data, align);
	}
}

int
ml_array_length(MlConverter *converter, Datum value)
{
	int			how;
	ArrayType  *array = array_of(converter, value, &how);
	int			length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	check_dimensions(converter->column, ARR_NDIM(array));
	if (length == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" has an empty array", converter->column->name),
				 errdetail("An array needs an element at least to be a feature.")));
	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
	return length;
}

static void
convert_array(MlConverter *converter, Datum value, double *cells)
{
	int			how;
	ArrayType  *array = array_of(converter, value, &how);

	check_dimensions(converter->column, ARR_NDIM(array));
	check_length(converter->column, ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)));
	array_cells(array, how, cells);
	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
}

/* ---- categories ---- */

static double
category_cell(const MlColumn *column, bool intern, const char *bytes, int len)
{
	int			code = intern ? ml_dict_intern(column->dict, bytes, len)
		: ml_dict_find(column->dict, bytes, len);

	return code < 0 ? ML_UNSEEN : code;
}

static double
text_cell(const MlConverter *converter, Datum value)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(value);
	const char *bytes = VARDATA_ANY(text);
	int			len = VARSIZE_ANY_EXHDR(text);
	double		cell;

	if (converter->how == HOW_BPCHAR)
		len = bpchartruelen(unconstify(char *, bytes), len);
	cell = category_cell(converter->column, converter->intern, bytes, len);
	if ((Pointer) text != DatumGetPointer(value))
		pfree(text);
	return cell;
}

/* A numeric's text without trailing zeros, palloc'd. */
static char *
numeric_label(Datum value)
{
	Numeric		numeric = DatumGetNumeric(value);
	char	   *text = numeric_normalize(numeric);

	if ((Pointer) numeric != DatumGetPointer(value))
		pfree(numeric);
	return text;
}

/* The fewest digits that give the value back, as numeric would print them. */
static char *
float_label(double value, bool single, char *buf)
{
	Datum		numeric;

	if (fabs(value) < 1e15 && value == rint(value))
	{
		pg_lltoa((int64) value, buf);
		return buf;
	}
	if (single)
		float_to_shortest_decimal_buf((float) value, buf);
	else
		double_to_shortest_decimal_buf(value, buf);
	if (strchr(buf, 'e') == NULL)
		return buf;
	numeric = DirectFunctionCall3(numeric_in, CStringGetDatum(buf),
								  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	return numeric_label(numeric);
}

/* The text of a number, boolean, date or time: in buf (LABEL_SIZE bytes) or palloc'd. */
static char *
format_label(Oid type, Datum value, char *buf)
{
	static const int utc = 0;

	switch (type)
	{
		case BOOLOID:
			return strcpy(buf, DatumGetBool(value) ? "true" : "false");
		case INT2OID:
			pg_ltoa(DatumGetInt16(value), buf);
			return buf;
		case INT4OID:
			pg_ltoa(DatumGetInt32(value), buf);
			return buf;
		case INT8OID:
			pg_lltoa(DatumGetInt64(value), buf);
			return buf;
		case FLOAT4OID:
			return float_label(DatumGetFloat4(value), true, buf);
		case FLOAT8OID:
			return float_label(DatumGetFloat8(value), false, buf);
		case NUMERICOID:
			return numeric_label(value);
		default:
			return JsonEncodeDateTime(buf, value, type, type == TIMESTAMPTZOID ? &utc : NULL);
	}
}

char *
ml_label_text(Oid type, Datum value)
{
	return format_label(type, value, palloc(LABEL_SIZE));
}

static double
label_cell(const MlConverter *converter, Datum value)
{
	char		buf[LABEL_SIZE];
	char	   *text = format_label(converter->type, value, buf);
	double		cell = category_cell(converter->column, converter->intern, text, strlen(text));

	if (text != buf)
		pfree(text);
	return cell;
}

static double
output_cell(MlConverter *converter, Datum value)
{
	char	   *text = OutputFunctionCall(&converter->out, value);
	double		cell = category_cell(converter->column, converter->intern, text, strlen(text));

	pfree(text);
	return cell;
}

/* ---- the switch ---- */

void
ml_convert(MlConverter *converter, Datum value, bool isnull, double *cells)
{
	const MlColumn *column = converter->column;

	if (isnull)
	{
		for (int i = 0; i < column->cells; i++)
			cells[i] = NAN;
		return;
	}

	switch (converter->how)
	{
		case HOW_FLOAT8:
			cells[0] = DatumGetFloat8(value);
			break;
		case HOW_INT2:
		case HOW_INT4:
		case HOW_INT8:
		case HOW_FLOAT4:
		case HOW_NUMERIC:
		case HOW_BOOL:
			cells[0] = number_cell(converter->how, value);
			break;
		case HOW_DATE:
			cells[0] = date_cell(DatumGetDateADT(value));
			return;
		case HOW_TIMESTAMP:
			cells[0] = timestamp_cell(DatumGetTimestamp(value));
			return;
		case HOW_INTERVAL:
			cells[0] = interval_cell(DatumGetIntervalP(value));
			return;
		case HOW_TIME:
			cells[0] = (double) DatumGetTimeADT(value) / USECS_PER_SEC;
			return;
		case HOW_TEXT:
		case HOW_BPCHAR:
			cells[0] = text_cell(converter, value);
			return;
		case HOW_NAME:
			cells[0] = category_cell(column, converter->intern, NameStr(*DatumGetName(value)),
									 strlen(NameStr(*DatumGetName(value))));
			return;
		case HOW_LABEL:
			cells[0] = label_cell(converter, value);
			return;
		case HOW_OUTPUT:
			cells[0] = output_cell(converter, value);
			return;
		default:
			convert_array(converter, value, cells);
			return;
	}
	if (column->kind == ML_BOOLEAN)
		check_boolean(column, cells[0]);
}

/* ---- jsonb ---- */

static void
json_mismatch(const MlColumn *column, const JsonbValue *value)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" cannot take a JSON %s", column->name, JsonbTypeName(unconstify(JsonbValue *, value))),
			 errdetail("The model was trained on type %s.", column->type)));
}

/* Numbers from number or boolean, as from SQL. */
static double
json_number(const MlColumn *column, const JsonbValue *value)
{
	if (value->type == jbvNull)
		return NAN;
	if (value->type == jbvNumeric)
		return numeric_cell(NumericGetDatum(value->val.numeric));
	if (value->type == jbvBool && column->kind != ML_ARRAY)
		return value->val.boolean ? 1 : 0;
	json_mismatch(column, value);
	return 0;					/* keep the compiler quiet */
}

/* Dates and times are strings in JSON, read as the type's own input does. */
static double
json_time(const MlColumn *column, const JsonbValue *value)
{
	Datum		text;
	Datum		none = ObjectIdGetDatum(InvalidOid);
	Datum		typmod = Int32GetDatum(-1);

	if (value->type != jbvString)
		json_mismatch(column, value);
	text = CStringGetDatum(pnstrdup(value->val.string.val, value->val.string.len));

	switch (column->kind)
	{
		case ML_DATE:
			return date_cell(DatumGetDateADT(DirectFunctionCall1(date_in, text)));
		case ML_TIMESTAMP:
			return timestamp_cell(DatumGetTimestamp(DirectFunctionCall3(timestamp_in, text, none, typmod)));
		case ML_TIMESTAMPTZ:
			return timestamp_cell(DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, text, none, typmod)));
		case ML_INTERVAL:
			return interval_cell(DatumGetIntervalP(DirectFunctionCall3(interval_in, text, none, typmod)));
		default:
			return (double) DatumGetTimeADT(DirectFunctionCall3(time_in, text, none, typmod)) / USECS_PER_SEC;
	}
}

static double
json_category(const MlColumn *column, const JsonbValue *value)
{
	const char *text;
	int			len;

	switch (value->type)
	{
		case jbvString:
			text = value->val.string.val;
			len = value->val.string.len;
			/* to_jsonb keeps the padding of char(n), which is no part of the value */
			if (column->type && strcmp(column->type, "character") == 0)
				len = bpchartruelen(unconstify(char *, text), len);
			break;
		case jbvNumeric:
			text = numeric_label(NumericGetDatum(value->val.numeric));
			len = strlen(text);
			break;
		case jbvBool:
			text = value->val.boolean ? "true" : "false";
			len = strlen(text);
			break;
		default:
			json_mismatch(column, value);
			return 0;			/* keep the compiler quiet */
	}
	return category_cell(column, false, text, len);
}

static void
json_array(const MlColumn *column, const JsonbValue *value, double *cells)
{
	JsonbContainer *container;
	JsonbIterator *it;
	JsonbValue	element;
	JsonbIteratorToken token;
	int			i = 0;

	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerIsScalar(value->val.binary.data))
		json_mismatch(column, value);

	container = value->val.binary.data;
	check_length(column, JsonContainerSize(container));
	it = JsonbIteratorInit(container);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
			cells[i++] = json_number(column, &element);
	}
}

void
ml_convert_json(const MlColumn *column, const struct JsonbValue *value, double *cells)
{
	if (value->type == jbvNull)
	{
		for (int i = 0; i < column->cells; i++)
			cells[i] = NAN;
		return;
	}

	switch (column->kind)
	{
		case ML_NUMBER:
			cells[0] = json_number(column, value);
			break;
		case ML_BOOLEAN:
			cells[0] = json_number(column, value);
			check_boolean(column, cells[0]);
			break;
		case ML_CATEGORY:
			cells[0] = json_category(column, value);
			break;
		case ML_ARRAY:
			json_array(column, value, cells);
			break;
		default:
			cells[0] = json_time(column, value);
			break;
	}
}

int
ml_schema_find(const MlSchema *schema, const char *name)
{
	for (int i = 0; i < schema->ncolumns; i++)
	{
		if (strcmp(schema->columns[i].name, name) == 0)
			return i;
	}
	return -1;
}
