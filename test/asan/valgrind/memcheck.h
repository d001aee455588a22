/*
 * memcheck.h - what PostgreSQL's memory contexts tell valgrind, told to
 * AddressSanitizer.
 *
 * A context takes memory from malloc in blocks, so that of itself the sanitizer
 * sees only what leaves a block.  With this header in place of valgrind's and
 * USE_VALGRIND defined, each byte of a block that no living palloc covers is
 * poisoned.  For a server's build alone (docs/testing.md).
 */
#ifndef ML_ASAN_MEMCHECK_H
#define ML_ASAN_MEMCHECK_H

#include <sanitizer/asan_interface.h>

#define VALGRIND_MAKE_MEM_NOACCESS(addr, size)	ASAN_POISON_MEMORY_REGION(addr, size)
#define VALGRIND_MAKE_MEM_UNDEFINED(addr, size) ASAN_UNPOISON_MEMORY_REGION(addr, size)
#define VALGRIND_MAKE_MEM_DEFINED(addr, size)	ASAN_UNPOISON_MEMORY_REGION(addr, size)
#define VALGRIND_CHECK_MEM_IS_DEFINED(addr, size) do {} while (0)
#define VALGRIND_CREATE_MEMPOOL(context, redzones, zeroed) do {} while (0)
#define VALGRIND_DESTROY_MEMPOOL(context) do {} while (0)
#define VALGRIND_MEMPOOL_ALLOC(context, addr, size) ASAN_UNPOISON_MEMORY_REGION(addr, size)
#define VALGRIND_MEMPOOL_FREE(context, addr) do {} while (0)	/* the context poisons it itself */
#define VALGRIND_MEMPOOL_CHANGE(context, from, to, size) ASAN_UNPOISON_MEMORY_REGION(to, size)

#endif
