/*
 * ml.h - the contract between the core and the algorithms.
 *
 * An algorithm is one `const MlAlgorithm`.  It sees tiles of doubles and never
 * a Datum, a tuple or a catalog; the core reads rows, encodes them, drives the
 * passes, measures, stores and scores.  The same code runs in a backend, in a
 * parallel worker and in the fuzz harness, so nothing here needs postgres.h.
 *
 * Training has one of two shapes.  *Accumulate* is a sequence of passes over the
 * rows: in each the core calls init once, accumulate for every tile, combine for
 * the states of parallel workers, days or folds, and then finish, which either
 * ends the training or asks for another pass and hands its `carry` (current
 * coefficients, say) over.  *Fit* is one call that reads the rows itself, as
 * often as it likes, for algorithms that keep them in a form of their own.
 */
#ifndef ML_H
#define ML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ML_TILE_ROWS 256		/* a tile of 20 columns fits the L1 cache */

#if defined(__GNUC__)
#define ML_PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ML_NORETURN __attribute__((noreturn))
#else
#define ML_PRINTF(f, a)
#define ML_NORETURN
#endif

/* ---- tasks and needs: bits, stored in models as names ---- */

#define ML_REGRESSION		(1u << 0)
#define ML_CLASSIFICATION	(1u << 1)
#define ML_ANOMALY			(1u << 2)	/* no target: a score, the higher the stranger */

#define ML_SINGLE_PASS		(1u << 0)	/* one pass is the usual case: rows are streamed, not collected */
#define ML_STANDARDIZED		(1u << 1)	/* tiles arrive as (x - center) / scale */
#define ML_SUBTRACTS		(1u << 2)	/* combine accepts sign = -1: folds from one scan */
#define ML_WARM_START		(1u << 3)	/* the carry of a fit on a sample starts the full fit */
#define ML_REFERENCE_LEVEL	(1u << 4)	/* one-hot drops the first level unless a penalty is set */
#define ML_NO_FEATURES		(1u << 5)	/* trains on the target alone */
#define ML_NATIVE			(1u << 6)	/* tiles hold numbers as they are, NaN where missing, and categories as level numbers */

/* ---- rows ---- */

/* A block of encoded rows, row-major; never infinite, and NaN only with ML_NATIVE. */
typedef struct MlTile
{
	int			n;				/* rows, 1..ML_TILE_ROWS */
	const double *x;			/* n x p */
	const double *y;			/* n: target value, or class number 0..classes-1 */
	const double *w;			/* n: weights > 0, or NULL: all one */
	const double *offset;		/* n: known part of the linear predictor, or NULL: zero */
	const double *u;			/* n: in [0, 1), the same for a row in every pass and order of rows */
	const double *group;		/* n: rows with the same number belong together; NULL without such a column */
} MlTile;

/* What is to be learned; the same for every tile, state and pass of a training. */
typedef struct MlProblem
{
	uint32_t	task;			/* ML_REGRESSION or ML_CLASSIFICATION */
	int			p;				/* encoded columns */
	int			classes;		/* 0 for regression */
	const char *const *names;	/* p: encoded column names, for messages */
	const double *center;		/* p: with ML_STANDARDIZED, what was subtracted; else NULL */
	const double *scale;		/* p: with ML_STANDARDIZED, what was divided by; else NULL */
	const bool *scaled;			/* p: a penalty counts this column in units of its standard deviation;
								 * otherwise in the units of the encoded value */
	const int  *levels;			/* p: with ML_NATIVE, 0 for a number, else the categories: x is 0..levels-1; else NULL */
	const signed char *monotone;	/* p: from a parameter of type ML_PARAM_SIGNS, or NULL */
	int			nsets;			/* from a parameter of type ML_PARAM_SETS, or 0 */
	const bool *sets;			/* nsets x p: columns that may appear together */
	uint64_t	seed;
	const void *start;			/* with fit: a loaded model of the same algorithm, columns and classes to go on from, by a
								 * parameter of type ML_PARAM_MODEL; or NULL */
	const void *params;			/* the algorithm's parameter struct */
	int			pass;			/* 0, 1, ... */
	const double *carry;		/* what finish handed over, or NULL in pass 0 */
	size_t		ncarry;
	bool		draft;			/* the model is only to be measured or to start from: no more accuracy than metrics show */
	bool		last;			/* the rows cannot be read again: finish must end, and warn if more was needed */
} MlProblem;

/* ---- parameters: one table drives parsing, errors, docs and tuning ---- */

typedef enum MlParamType
{
	ML_PARAM_BOOL,				/* bool */
	ML_PARAM_INT,				/* int; without a default "auto": 0, which must be out of its range */
	ML_PARAM_REAL,				/* double; without a default "auto": NaN */
	ML_PARAM_PENALTY,			/* double; NaN means "cv": choose by cross-validation */
	ML_PARAM_ENUM,				/* int: index into choices */
	ML_PARAM_COLUMN,			/* char *: name of a column of the source that plays a role; NULL: none */
	ML_PARAM_SIGNS,				/* char *: {"column": -1 | 0 | 1, ...}; MlProblem.monotone; NULL: none */
	ML_PARAM_SETS,				/* char *: [["column", ...], ...]; MlProblem.sets; NULL: none */
	ML_PARAM_MODEL				/* char *: name of a model of the same algorithm; MlProblem.start; NULL: none */
} MlParamType;

typedef struct MlParam
{
	const char *name;
	const char *help;			/* one line, states the unit */
	MlParamType type;
	size_t		offset;			/* of the field in the parameter struct */
	const char *def;			/* default as the user would write it; NULL: absent */
	double		min;			/* INT, REAL, PENALTY: inclusive range */
	double		max;
	const char *const *choices; /* ENUM: NULL-terminated */
} MlParam;

/* ---- results ---- */

typedef enum MlStep
{
	ML_DONE,					/* model is set */
	ML_AGAIN					/* another pass, with carry */
} MlStep;

typedef struct MlResult
{
	void	   *model;			/* ML_DONE: the algorithm's model */
	double	   *carry;			/* ML_AGAIN: for the next pass; ML_DONE: a warm start, or NULL */
	size_t		ncarry;
	double		objective;		/* of this pass, for progress; NaN when unknown */
	const char *stop;			/* ML_DONE: why it stopped, a static string such as "gradient below tol" */
	bool		converged;
	bool		outside;		/* of a fit: the model is not in memory, so that predictions should go by predict_rows */
} MlResult;

/* A line of ml_coefficients; undefined numbers are NaN and become NULL. */
typedef struct MlCoefficient
{
	int			column;			/* encoded column, or -1: intercept */
	int			output;			/* 0, or the class number when there are more than two */
	double		estimate;
	double		std_error;
	double		statistic;
	double		p_value;
	double		ci_low;			/* 95 % */
	double		ci_high;
} MlCoefficient;

typedef struct MlWriter MlWriter;
typedef struct MlReader MlReader;
typedef struct MlRows MlRows;
typedef struct MlData MlData;

/* A model on its way from or to another library. */
typedef struct MlForeign
{
	uint32_t	task;
	int			p;
	int			classes;		/* 0 for regression and ranking */
	const char *const *names;	/* p */
	const int  *levels;			/* p: 0 for a number, else categories, given as 0..levels-1 */
	const char *note;			/* what it was: library, version, objective; import only */
	void	   *model;			/* what predict takes */
} MlForeign;

typedef struct MlFormat
{
	const char *name;			/* as ml_import and ml_export spell it */
	bool		(*recognize) (const char *bytes, size_t size);
	void		(*read) (const char *bytes, size_t size, MlForeign *out);	/* ml_malformed, ml_unsupported */
	void		(*write) (const MlForeign *model, MlWriter *out);	/* ml_unsupported; NULL: reads only */
} MlFormat;

/* From the margins of a formula to the prediction; results are kept within what a double can say. */
typedef enum MlFormulaLink
{
	ML_FORMULA_IDENTITY,
	ML_FORMULA_EXP,
	ML_FORMULA_EXP2,			/* 2 to the power of the margin */
	ML_FORMULA_LOGISTIC,
	ML_FORMULA_PROBIT,
	ML_FORMULA_CLOGLOG,			/* 1 - exp(-exp(margin)) */
	ML_FORMULA_INVERSE,
	ML_FORMULA_SQUARE,
	ML_FORMULA_CAUCHIT,			/* 1/2 + atan(margin) / pi */
	ML_FORMULA_SOFTMAX,
	ML_FORMULA_SHARES			/* each margin, >= 0, over their sum */
} MlFormulaLink;

/*
 * Where a prediction is written down as arithmetic over encoded columns; the
 * core knows the language.  One margin after the other: begin, then its terms,
 * which are added; at last the link.  A term is a linear form, or a tree of
 * splits and leaves written root first: after a split comes the whole side for
 * which its test holds, then the other, which missing values take.  The link
 * SOFTMAX or SHARES needs a margin for each class; any other, one for each
 * number that is wanted.  Any call may end in an error.
 */
typedef struct MlFormula MlFormula;
struct MlFormula
{
	int			output;			/* class whose probability is wanted; -1: all; 0 unless there are more than two */
	void		(*begin) (MlFormula *f, double constant, double factor);	/* margin = constant + factor * sum of terms */
	void		(*linear) (MlFormula *f, const double *weight, const double *center);	/* sum of weight (x - center), p of each */
	void		(*leaf) (MlFormula *f, double value);
	void		(*split) (MlFormula *f, int column, bool less, double threshold);	/* x < threshold, or x >= threshold */
	void		(*split_set) (MlFormula *f, int column, const uint32_t *bits, int nwords, bool inside, bool missing);	/* whether
								 * category x, 0 .. 32 nwords - 1, has its bit set (inside) or not, or is missing (missing) */
	void		(*link) (MlFormula *f, MlFormulaLink link);
};

typedef struct MlAlgorithm
{
	const char *name;
	const char *summary;		/* one line */
	uint32_t	tasks;
	uint32_t	flags;
	int			format;			/* of the payload; load reads every older one */
	const MlParam *params;		/* ends with name == NULL */
	size_t		params_size;

	/* Complains (ml_fail) about parameters that do not go together; may be NULL. */
	void		(*check) (const void *params, uint32_t task);

	/*
	 * Training by fit; NULL: by accumulate.  Reads `data` from the start, as
	 * often as it likes, and sets result (ML_DONE).
	 */
	void		(*fit) (const MlProblem *problem, MlData *data, MlResult *result);

	/* Training by accumulate.  A state is a flat array of doubles, zeroed before init. */
	size_t		(*state_size) (const MlProblem *problem);	/* in doubles */
	void		(*init) (const MlProblem *problem, double *state);	/* may be NULL */
	void		(*accumulate) (const MlProblem *problem, double *state, const MlTile *tile);
	void		(*combine) (const MlProblem *problem, double *state, const double *other, double sign);
	MlStep		(*finish) (const MlProblem *problem, double *state, MlResult *result);

	/*
	 * Chooses every penalty given as "cv" from the states of nfolds disjoint
	 * parts of the training rows (pass 0, ML_SUBTRACTS) and returns a new
	 * parameter struct with numbers in it.  NULL: the core tries a grid.
	 */
	void	   *(*choose) (const MlProblem *problem, double *const *folds, int nfolds);

	/*
	 * Squared error of a fitted model on the rows of a pass 0 state: the sum
	 * of w (y - prediction)^2.  NULL: the core scores rows one by one.
	 */
	double		(*squared_error) (const MlProblem *problem, const double *state, const void *model);

	/*
	 * Prediction: pure arithmetic over one encoded, unscaled row x[p].  out
	 * gets one number (regression: the value; two classes: the probability of
	 * class 1) or `classes` probabilities.
	 */
	void		(*predict) (const void *model, const double *x, double *out);

	/* The same of n rows, with interrupts let through; only for models that a fit left outside of memory. */
	void		(*predict_rows) (const void *model, const double *x, size_t n, double *out);

	/* Size of the model beyond its struct is found by save; load never trusts a byte. */
	void		(*save) (const void *model, MlWriter *writer);
	void	   *(*load) (MlReader *reader, int format, int p, int classes);

	/* For people.  Any of these may be NULL. */
	void		(*describe) (const void *model, MlRows *rows);
	int			(*coefficients) (const void *model, MlCoefficient *out);	/* out NULL: count only */

	/*
	 * Adds up to the margin (the prediction of a regression, the log-odds of
	 * class 1 or of `output`): base + sum contrib[p].
	 */
	void		(*explain) (const void *model, const double *x, int output, double *base, double *contrib);
	bool		(*interval) (const void *model, const double *x, double level, double *low, double *high);
	void		(*importance) (const void *model, double *share);	/* p numbers >= 0 */
	bool		(*importance_by) (const void *model, const char *method, double *share);	/* "gain", "cover", "splits"; false: cannot */

	/* Writes what predict computes; NULL: it cannot be said by such formulas. */
	void		(*formula) (const void *model, MlFormula *out);

	const MlFormat *const *formats; /* of other libraries, ends with NULL; or NULL */
	const MlFormat *const *writes;	/* the same of another algorithm, whose write takes this one's models, too; or NULL */
} MlAlgorithm;

/* Every algorithm is declared here: the Makefile makes the list from the folders. */
#define ML_ALGORITHM(symbol) extern const MlAlgorithm symbol;
#include "algo/list.h"
#undef ML_ALGORITHM

/* ---- what the core does for algorithms ---- */

/* Allocates count * size zeroed bytes against the memory budget; freed with the training. */
extern void *ml_alloc(size_t count, size_t size);

/* Gives memory of ml_alloc back before the training ends. */
extern void ml_free(void *pointer);

/* memcpy of what may be large: interrupts are let through on the way. */
extern void ml_copy(void *to, const void *from, size_t bytes);

/* Bytes that ml_alloc would still give; to be asked before a choice between memory and file. */
extern size_t ml_memory_left(void);

/* The rows of a fit: rewind, then tiles until false; a tile is valid until the next. */
extern uint64_t ml_data_rows(const MlData *data);
extern void ml_data_rewind(MlData *data);
extern bool ml_data_next(MlData *data, MlTile *tile);

/* A temporary file of any size, gone with the training; ends the training when a limit or the disk says no. */
typedef struct MlFile MlFile;
extern MlFile *ml_file_create(void);
extern void ml_file_write(MlFile *file, uint64_t at, const void *bytes, size_t size);
extern void ml_file_read(MlFile *file, uint64_t at, void *bytes, size_t size);
extern void ml_file_close(MlFile *file);

/* For ml.progress; lets interrupts through. */
extern void ml_report_iteration(int iteration, double objective);

/*
 * A point of the learning curve: what the objective is after so many iterations, on
 * the rows learned from and on rows kept apart to stop by; NaN: not known (yet).
 */
extern void ml_report_learning(int iterations, double objective, double held_out);

/* A message for ml_train's warnings column, and a WARNING to the client. */
extern void ml_warn(const char *format,...) ML_PRINTF(1, 2);

/* Ends the training: the data cannot be learned from (22000), a parameter is wrong (22023), a library is missing (58P01). */
extern void ml_fail_data(const char *format,...) ML_PRINTF(1, 2) ML_NORETURN;
extern void ml_fail_param(const char *format,...) ML_PRINTF(1, 2) ML_NORETURN;
extern void ml_fail_library(const char *format,...) ML_PRINTF(1, 2) ML_NORETURN;

/* Lets a cancel or timeout through; at least every 50 ms inside finish. */
extern void ml_check_interrupts(void);

/* Bytes of a payload, network order.  Reads beyond the end or out of range are ml_corrupt. */
extern void ml_write_u8(MlWriter *writer, uint8_t value);
extern void ml_write_u32(MlWriter *writer, uint32_t value);
extern void ml_write_u64(MlWriter *writer, uint64_t value);
extern void ml_write_f64(MlWriter *writer, double value);
extern void ml_write_f64s(MlWriter *writer, const double *values, size_t count);
extern void ml_write_u32s(MlWriter *writer, const uint32_t *values, size_t count);
extern void ml_write_text(MlWriter *writer, const char *value);		/* NULL is kept */
extern uint8_t ml_read_u8(MlReader *reader);
extern uint32_t ml_read_u32(MlReader *reader, uint32_t max);
extern uint64_t ml_read_u64(MlReader *reader);
extern double ml_read_f64(MlReader *reader);	/* may be NaN */
extern double ml_read_finite(MlReader *reader);
extern double *ml_read_f64s(MlReader *reader, size_t count);	/* finite ones; checks count before allocating */
extern void ml_read_finites(MlReader *reader, double *values, size_t count);
extern void ml_read_u32s(MlReader *reader, uint32_t *values, size_t count);
extern char *ml_read_text(MlReader *reader);
extern size_t ml_read_left(const MlReader *reader);

/*
 * At most once in save and at the same place in load: what follows serves other things than predictions, such as
 * describe, explain and importance.  False: the model is read for predictions alone, and nothing follows.
 */
extern void ml_write_rest(MlWriter *writer);
extern bool ml_read_rest(MlReader *reader);

/*
 * Memory for what load makes of the bytes: not counted against the budget,
 * since a model must be usable wherever it can be read, but ml_corrupt for more
 * than 64 bytes for each byte left.  Not zeroed.
 */
extern void *ml_read_room(const MlReader *reader, size_t count, size_t size);
extern void ml_corrupt(const char *format,...) ML_PRINTF(1, 2) ML_NORETURN;
extern void ml_malformed(const char *format,...) ML_PRINTF(1, 2) ML_NORETURN;	/* a model to be imported is not one (22P02) */
extern void ml_unsupported(const char *format,...) ML_PRINTF(1, 2) ML_NORETURN;	/* well-formed, but nothing we can do (0A000) */
extern void ml_write_bytes(MlWriter *writer, const void *bytes, size_t size);

/* A line of ml_describe; value may be NULL: undefined. */
extern void ml_row_text(MlRows *rows, const char *item, const char *value);
extern void ml_row_number(MlRows *rows, const char *item, double value);

/* What people call an encoded column, a level of a category (ML_NATIVE) and a class. */
extern const char *ml_row_column(const MlRows *rows, int column);
extern const char *ml_row_level(const MlRows *rows, int column, int level);
extern const char *ml_row_class(const MlRows *rows, int k);

#endif
