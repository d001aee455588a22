/*
 * recipe.h - how a version was trained, read back from its lineage so that it can be done again.
 */
#ifndef ML_DEPLOY_RECIPE_H
#define ML_DEPLOY_RECIPE_H

#include "core/acl.h"
#include "train/train.h"

/* What is stored of a model's current version; all in the context that was current at the call. */
typedef struct MlRecipe
{
	MlModelRef	ref;			/* the version */
	MlRequest	request;		/* source NULL unless `own` */
	const char *search_path;	/* in force then, for a SELECT; NULL: not needed */
	bool		own;			/* the caller wrote the source, and nobody could have changed it */
	bool		imported;		/* no source that could be read here was ever known */
	const char *notes;
	const char *lineage;		/* JSON */
	bool		fingerprinted;
	MlFingerprint fingerprint;
	List	   *roles;			/* of char *: what the columns were, one of each kind */
} MlRecipe;

/* The model's current version, for those who may manage it; 55000 when nothing is known of its training. */
extern void ml_recipe_read(const char *name, MlRecipe *recipe);

/* Puts the source given, or that of the recipe, into the request; 42501 when the recipe's is another role's, 55000 of an import. */
extern void ml_recipe_source(MlRecipe *recipe, const char *source);

/* Only one retraining, update or forgetting of a model at a time: 55P03.  Until the transaction ends. */
extern void ml_recipe_lock(int64 model_id, const char *name);

#endif
