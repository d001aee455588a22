/*
 * file.h - temporary files beyond what ml.h offers: with an owner and a name.
 */
#ifndef ML_FILE_H
#define ML_FILE_H

#include "core/compat.h"
#include "ml.h"
#include "utils/resowner.h"

/*
 * A file that lives until ml_file_close, the end of the current memory context or
 * of `owner`, whichever comes first.  `what` says in errors what it holds: a literal.
 */
extern MlFile *ml_file_open(ResourceOwner owner, const char *what);

#endif
