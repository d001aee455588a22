/*
 * state.h - the type ml_state: a training in progress, or (with no rows yet) a
 * specification of one.  Flat, updated in place, mergeable; see state.c.
 */
#ifndef ML_STATE_H
#define ML_STATE_H

#include "core/fingerprint.h"
#include "core/schema.h"
#include "core/model.h"
#include "num/sketch.h"
#include "ml.h"

#define ML_STATE_PROFILE	0x01	/* keeps a fingerprint of the rows and an MlSummary of each cell */
#define ML_STATE_POSITION	0x02	/* rows come with ctid (and tableoid), for splits */
#define ML_STATE_WEIGHT		0x04
#define ML_STATE_OFFSET		0x08
#define ML_STATE_STORED		0x10	/* rows are taken as their table stores them: see ml_accumulate_call */

/* Each part's share: counts, moments of the target, then the algorithm's doubles. */
typedef struct MlPart
{
	double		buffered;		/* rows waiting in the buffer */
	double		n;				/* rows accumulated, buffered ones not yet counted */
	double		w;				/* their weights */
	double		y_mean;			/* weighted */
	double		y_m2;
	double		state[FLEXIBLE_ARRAY_MEMBER];
} MlPart;

typedef struct MlState
{
	int32		vl_len_;
	uint32		magic;
	uint32		format;
	uint32		flags;
	uint64		spec_hash;		/* of the spec bytes: same hash and sizes, same spec */
	uint32		spec_size;		/* bytes */
	uint32		ncells;			/* features; all numbers */
	uint32		nparts;			/* 1; or part 0 the holdout, 1.. the folds */
	uint32		capacity;		/* buffer rows a part */
	uint32		part_doubles;	/* the algorithm's state */
	uint32		ncarry;
	uint32		pass;
	uint32		level;			/* of the summaries' quantiles: see ml_summary_level */
	int64		rows_read;		/* what every row touches ends here: 64 bytes */
	int64		rows_no_target;	/* target NULL, or weight NULL or zero */
	int64		rows_missing;	/* a feature NULL: not accumulated */
	uint64		seed;
	double		holdout;		/* share of part 0 when nparts > 1 */
	/* then: carry, parts, fingerprint and summaries, buffers, spec */
} MlState;

/* What to learn, as the spec says it; the same for all states with this spec. */
typedef struct MlSpec
{
	const MlAlgorithm *algorithm;
	void	   *params;
	Jsonb	   *given;			/* parameters as given, or NULL */
	Jsonb	   *params_json;	/* all, defaults included */
	uint32		task;
	MlSchema   *schema;			/* numbers and booleans, one cell each */
	char	   *target;
	char	   *target_type;
	char	   *weight;			/* column names, or NULL */
	char	   *offset;
	int			target_at;		/* the target's place among the values given for a row */
	MlProblem	problem;		/* p = ncells: values go in as they are */

	/* The state that goes with it; ml_spec_state fills these in. */
	uint32		flags;
	uint32		nparts;
	double		holdout;
	uint64		seed;
	int			level;			/* of the summaries, in a new state */
	uint64		hash;			/* of the state it was read from, ... */
	uint32		size;			/* ... its specification's bytes, ... */
	uint64		part_doubles;	/* ... and its algorithm's state */
} MlSpec;

/* An empty state for the spec, in the current context. */
extern MlState *ml_spec_state(const MlSpec *spec);

/* The spec of a state, in the current context; cheap checks whether it is still the right one. */
extern MlSpec *ml_state_spec(const MlState *state);
extern bool ml_state_has_spec(const MlState *state, const MlSpec *spec);

/* Cells of a row: features, target, then weight and offset as the flags say. */
#define ml_spec_cells(spec) \
	((int) (spec)->schema->ncells + 1 + (((spec)->flags & ML_STATE_WEIGHT) != 0) + \
	 (((spec)->flags & ML_STATE_OFFSET) != 0))

/* Whether all cells are finite: 0 times anything else is NaN.  Four sums, so that they overlap. */
static inline bool
ml_cells_finite(const double *cells, int n)
{
	double		sum[4] = {0, 0, 0, 0};

	for (; n >= 4; n -= 4, cells += 4)
		for (int k = 0; k < 4; k++)
			sum[k] += cells[k] * 0.0;
	for (; n > 0; n--, cells++)
		sum[0] += *cells * 0.0;
	return sum[0] + sum[1] + sum[2] + sum[3] == 0;
}

/*
 * Adds one row.  NaN is NULL; no other value may be non-finite; `finite` says
 * that there is neither.  u in [0, 1) decides the part.  Returns the state, or
 * a larger copy in the current context (the caller frees the old one).
 */
extern MlState *ml_state_add(const MlSpec *spec, MlState *state, const double *cells, bool finite, double u);
extern void ml_state_merge(const MlSpec *spec, MlState *state, const MlState *other);
extern void ml_state_flush(const MlSpec *spec, MlState *state);	/* buffered rows into the parts */

extern MlPart *ml_state_part(const MlState *state, int part);
extern MlSummary *ml_state_summary(const MlState *state, int cell);
extern MlFingerprint *ml_state_fingerprint(const MlState *state);	/* with ML_STATE_PROFILE */

/* A uniform number in [0, 1) for a row: splitmix64 (Steele, Lea, Flood 2014). */
static inline double
ml_split_uniform(uint64 position, uint64 seed)
{
	uint64		h = position * UINT64CONST(0x9e3779b97f4a7c15) + seed;

	h = (h ^ (h >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64CONST(0x94d049bb133111eb);
	h ^= h >> 31;
	return (double) (h >> 11) * 0x1p-53;
}


/* Raises 22003 for a value that is not finite. */
extern void ml_reject_value(const char *column, double value) ML_NORETURN;

/* Beyond, squares of summed weights come near the end of a double. */
#define ML_MAX_WEIGHT 1e100

/* Whether a finite weight, or NaN for NULL, can be one; the other raises 22023 for one that cannot. */
#define ml_weight_fits(w) (!((w) < 0 || (w) > ML_MAX_WEIGHT))
extern void ml_reject_weight(const char *column, double weight) ML_NORETURN;

/*
 * Appends the call of ml_accumulate for columns of a table s, for the query that
 * ml_stream_parallel runs; with `stored` the state given must have ML_STATE_STORED.
 */
extern void ml_accumulate_call(StringInfo sql, const int *columns, int n, const char *position, bool stored);

extern MlState *ml_state_detoast(Datum value);	/* aligned and checked at input */

/* The model of finished single-pass states: what ml_finish returns. */
extern MlModel *ml_state_model(const MlSpec *spec, MlState *state);

#endif
