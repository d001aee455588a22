/*
 * model.h - the type ml_model: one self-contained value, see model.c for its bytes.
 */
#ifndef ML_MODEL_H
#define ML_MODEL_H

#include "core/compat.h"
#include "core/encode.h"
#include "core/profile.h"
#include "utils/jsonb.h"
#include "ml.h"

typedef struct MlModel
{
	const MlAlgorithm *algorithm;
	uint32		task;
	int			classes;		/* 0 unless classification */
	char	  **labels;			/* classes: as the table had them; the last of two is the positive one */
	char	   *target;			/* column name; NULL: learned without */
	char	   *target_type;	/* as format_type prints it; NULL as target is */
	bool		brief;			/* unpacked for predictions: without params and info, and algorithm->predict and interval only */
	Jsonb	   *params;			/* all, defaults included; or NULL */
	Jsonb	   *info;			/* metrics on the holdout, rows, seed, warnings: what ml_describe shows; or NULL */
	MlEncoder  *encoder;
	void	   *fit;			/* what algorithm->predict takes */
	MlSummary  *summaries;		/* ncells of the training rows, for drift and ml_importance; or NULL */
	int			nsummaries;
	MlProfile  *profile;		/* for drift; NULL: none is kept, or the model was unpacked without its summaries */
} MlModel;

/* The value; deterministic: the same model gives the same bytes. */
extern struct varlena *ml_model_pack(const MlModel *model);

/*
 * Checks every byte (XX001, 0A000); everything lives in the current context.
 * Without the summaries a model is small enough to be kept: each of them takes
 * 20 kB, and a prediction needs none.
 */
extern MlModel *ml_model_unpack(struct varlena *value);
extern MlModel *ml_model_unpack_whole(struct varlena *value);	/* with the summaries */

/*
 * Of a version in the catalog: as much of the stored value as a prediction needs, in the current context,
 * and the model it holds, which is brief.  Only the checksum of that part is compared.
 */
extern struct varlena *ml_model_head(Datum value);
extern MlModel *ml_model_unpack_head(struct varlena *value);

/* First 16 bytes of the SHA-256 of the content: the model's id, and its checksum. */
#define ML_MODEL_ID_SIZE 16
extern void ml_model_id(struct varlena *value, uint8 *id);	/* value detoasted */

extern Oid	ml_extension_schema(void);	/* where the ml_ functions and types live */
extern Oid	ml_model_type(void);
extern Oid	ml_state_type(void);

#endif
