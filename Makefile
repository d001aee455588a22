# ml_ext: built by PGXS.  `make`, `make install`, `make installcheck`, `make lint`, `make bench`;
# `./check` does all of it from a bare Debian.

EXTENSION = ml_ext
MODULE_big = ml_ext
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" ml_ext.control)

PG_CONFIG ?= pg_config

NUM_OBJS = $(patsubst %.c,%.o,$(sort $(wildcard src/num/*.c)))
ALGORITHMS = $(sort $(wildcard src/algo/*/*.c))
ALGO_OBJS = $(ALGORITHMS:.c=.o)
OBJS = $(patsubst %.c,%.o,$(sort $(filter-out src/num/%,$(wildcard src/*.c src/*/*.c)))) $(NUM_OBJS) $(ALGO_OBJS)

# The install script is made of the parts that lie beside the C code they declare: these first, in this order.
SQL_ORDER = $(patsubst %,src/%.sql,core/type core/catalog core/registry core/state deploy/registry eval/metrics \
	train/train core/predict explain/look eval/evaluate eval/crossval)
SQL_ALL := $(sort $(wildcard src/*/*.sql))
SQL_PARTS := $(filter $(SQL_ALL),$(SQL_ORDER)) $(filter-out $(SQL_ORDER),$(SQL_ALL))
SCRIPT := sql/ml_ext--$(EXTVERSION).sql
DATA_built = $(SCRIPT)
DATA = $(wildcard sql/ml_ext--*--*.sql)

# OpenBLAS is loaded when it is needed first; the serial one, if it is there, starts no thread (docs/decisions/001).
BLAS_LIBRARY ?= $(firstword $(wildcard /usr/lib/$(shell gcc -print-multiarch 2>/dev/null)/openblas-serial/libopenblas.so.0) \
	libopenblas.so.0)
BLAS_FLAGS = -DML_BLAS_LIBRARY='"$(BLAS_LIBRARY)"'

PG_CPPFLAGS = -Isrc $(BLAS_FLAGS)
PG_CFLAGS = -O3 -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare -Wno-missing-field-initializers -fvisibility=hidden
SHLIB_LINK = -lm
UNIT_TESTS = $(patsubst %.c,%,$(filter-out test/unit/host.c,$(wildcard test/unit/*.c)))
EXTRA_CLEAN = test/fuzz/build src/algo/list.h test/unit/libunit.a test/unit/host.o $(UNIT_TESTS)
NO_INSTALLCHECK = 1

# No JIT bitcode: the functions are not worth inlining into plans.
override with_llvm = no

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(SCRIPT): $(SQL_PARTS) Makefile ml_ext.control
	mkdir -p sql
	(printf '%s\n' '\echo Use "CREATE EXTENSION ml_ext" to load this file. \quit'; cat $(SQL_PARTS)) > $@

# What ml_report puts into its pages (docs/decisions/013).
REPORT_DIR = $(DESTDIR)$(datadir)/extension/ml_ext
install: install-report
install-report:
	$(MKDIR_P) '$(REPORT_DIR)'
	$(INSTALL_DATA) $(wildcard share/vega/*) '$(REPORT_DIR)/'
uninstall: uninstall-report
uninstall-report:
	rm -rf '$(REPORT_DIR)'

# The registry: one line an algorithm, made from what lies in the folders.
src/algo/list.h: FORCE
	@mkdir -p src/algo
	@sed -n 's/^const MlAlgorithm \(ml_algo_[a-z0-9_]*\).*/ML_ALGORITHM(\1)/p' /dev/null $(ALGORITHMS) > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(OBJS): src/algo/list.h $(wildcard src/*.h src/*/*.h src/algo/*/*.h)

# Programs that test the numeric code without a server.
unit: $(UNIT_TESTS)
test/unit/libunit.a: $(NUM_OBJS) $(ALGO_OBJS)
	rm -f $@ && $(AR) $(AROPT) $@ $^
test/unit/host.o: src/algo/list.h $(wildcard src/*.h)
$(UNIT_TESTS): test/unit/%: test/unit/%.c test/unit/host.o test/unit/libunit.a
	$(CC) $(CPPFLAGS) -Itest/unit $(CFLAGS) -o $@ $^ -lm

# Against the server that PGHOST, PGPORT and PGUSER name, after `make install`; TESTS="unit sql" for some.
installcheck: unit
	PG_CONFIG=$(PG_CONFIG) test/run $(TESTS)

# Reads mutated models, and files to be imported, for FUZZ_SECONDS each; needs clang with its runtime (Debian: clang-14, libclang-rt-14-dev).
# What only the server itself calls stays unresolved, and ends the program if it is called after all.
FUZZ_CC ?= clang-14
FUZZ_SECONDS ?= 600
FUZZ_DIR = test/fuzz/build
FUZZ_FLAGS = -g -O1 -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=undefined,float-cast-overflow -ffunction-sections -fdata-sections \
	-w -D_GNU_SOURCE $(BLAS_FLAGS) -Isrc -Itest/fuzz -I$(shell $(PG_CONFIG) --includedir-server)
FUZZ_SOURCES = test/fuzz/server.c $(patsubst %,src/core/%.c,model profile encode dict host registry) $(NUM_OBJS:.o=.c) $(ALGORITHMS)
FUZZ_OBJS = $(patsubst %.c,$(FUZZ_DIR)/%.o,$(FUZZ_SOURCES))
$(FUZZ_DIR)/%.o: %.c src/algo/list.h $(wildcard src/*.h src/*/*.h test/fuzz/*.h)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c -o $@ $<
$(FUZZ_DIR)/model $(FUZZ_DIR)/import: $(FUZZ_DIR)/%: $(FUZZ_DIR)/test/fuzz/%.o $(FUZZ_OBJS)
	$(FUZZ_CC) -no-pie -fsanitize=fuzzer,address,undefined -Wl,--gc-sections,--unresolved-symbols=ignore-all -o $@ $^ \
		-L$(shell $(PG_CONFIG) --pkglibdir) -lpgcommon -lpgport -lm -lcrypto
FUZZ_LIMIT = -max_total_time=$(FUZZ_SECONDS)
FUZZ_OPTIONS = -max_len=40000 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix=$(FUZZ_DIR)/
fuzz: $(FUZZ_DIR)/model $(FUZZ_DIR)/import
	mkdir -p $(addprefix $(FUZZ_DIR)/,seeds corpus import_corpus)
	for f in test/models/*.hex; do \
		perl -ne 'chomp; $$v = substr($$_, 17, 1); print chr $$v, pack("H*", substr($$_, $$v > 2 ? 58 : 50)); exit' $$f >$(FUZZ_DIR)/seeds/$$(basename $$f .hex); done
	ASAN_OPTIONS=detect_leaks=0 $(FUZZ_DIR)/model $(FUZZ_LIMIT) $(FUZZ_OPTIONS) \
		$(FUZZ_DIR)/corpus $(FUZZ_DIR)/seeds
	ASAN_OPTIONS=detect_leaks=0 $(FUZZ_DIR)/import $(FUZZ_LIMIT) $(FUZZ_OPTIONS) -dict=test/fuzz/import.dict \
		$(FUZZ_DIR)/import_corpus test/data/models

# The tests under AddressSanitizer and its kin; PG_CONFIG names a server built with them (docs/testing.md).
memcheck:
	PG_CONFIG=$(PG_CONFIG) test/memcheck $(TESTS)

lint: all
	PG_CONFIG=$(PG_CONFIG) test/lint

bench:
	PG_CONFIG=$(PG_CONFIG) test/bench/bench

# The archive for PGXN; META.json gets its version here.
dist:
	git archive --format=tar --prefix=ml_ext-$(EXTVERSION)/ HEAD | tar -x
	sed -i 's/@VERSION@/$(EXTVERSION)/' ml_ext-$(EXTVERSION)/META.json
	zip -qr ml_ext-$(EXTVERSION).zip ml_ext-$(EXTVERSION) && rm -r ml_ext-$(EXTVERSION)

FORCE:
.PHONY: FORCE install-report uninstall-report fuzz unit installcheck memcheck lint bench dist
