# ml_ext: built by PGXS.  `make`, `make install`, `make installcheck`; `./check` does all of it.

EXTENSION = ml_ext
MODULE_big = ml_ext
VERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" ml_ext.control)

PG_CONFIG ?= pg_config
OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/*.c src/*/*.c src/algo/*/*.c)))

# The install script is made of the parts that lie beside the C code they declare.
SQL_PARTS = src/core/type.sql src/core/catalog.sql src/core/registry.sql src/core/state.sql \
	src/eval/metrics.sql src/train/train.sql src/core/predict.sql src/explain/look.sql
SCRIPT = sql/ml_ext--$(VERSION).sql
DATA = $(SCRIPT)

# The serial OpenBLAS starts no thread when a backend loads it.
MULTIARCH := $(shell gcc -print-multiarch 2>/dev/null)
BLAS_SERIAL := $(wildcard /usr/lib/$(MULTIARCH)/openblas-serial)
BLAS_LIBS = $(if $(BLAS_SERIAL),-L$(BLAS_SERIAL) -Wl$(comma)-rpath$(comma)$(BLAS_SERIAL)) -lopenblas -lm
comma := ,

PG_CPPFLAGS = -Isrc
PG_CFLAGS = -O3 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -fvisibility=hidden
SHLIB_LINK = $(BLAS_LIBS)
EXTRA_CLEAN = $(SCRIPT) src/algo/list.h

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# The module is compiled without JIT bitcode: its functions are not inlined into plans.
with_llvm = no

all: $(SCRIPT)

$(SCRIPT): $(SQL_PARTS) Makefile ml_ext.control
	(echo '\echo Use "CREATE EXTENSION ml_ext" to load this file. \quit'; cat $(SQL_PARTS)) > $@

# One line an algorithm: the folder's registry.
src/algo/list.h: $(wildcard src/algo/*/*.c) Makefile
	@sed -n 's/^const MlAlgorithm \(ml_algo_[a-z0-9_]*\) = {$$/ML_ALGORITHM(\1)/p' $(sort $(wildcard src/algo/*/*.c)) > $@

$(OBJS): $(wildcard src/*.h src/*/*.h src/algo/*/*.h)
src/core/registry.o: src/algo/list.h
