/*
 * moving.h - the extension's own document of a model, format "ml" of ml_export and ml_import.
 */
#ifndef ML_MOVING_H
#define ML_MOVING_H

#include "core/catalog.h"

/* What was read; everything lives in the context of the call. */
typedef struct MlDocument
{
	struct varlena *value;		/* the bytes of the model, checked */
	MlModel    *model;
	MlVersionRow row;			/* without lineage */
	char	   *provenance;		/* a JSON object */
	char	   *origin;			/* in words */
} MlDocument;

/* Does it begin as our documents do? */
extern bool ml_document_recognize(const char *bytes, size_t size);

/* 22P02 for what is no such document, XX001 for a damaged one, 0A000 for one of a later version. */
extern void ml_document_read(const char *bytes, size_t size, MlDocument *document);

/* version_id 0: of a value, of which nothing is known but the model.  54000 when too large. */
extern text *ml_document_write(struct varlena *value, const MlModel *model, int64 version_id);

#endif
