/*
 * vector.h - functions compiled once for each width of registers; the version is
 * chosen when the library loads.
 */
#ifndef ML_VECTOR_H
#define ML_VECTOR_H

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define ML_VECTOR __attribute__((target_clones("avx512f", "avx2", "default")))
#define ML_VECTOR_256 __attribute__((target_clones("avx2", "default")))	/* where wider ones gain nothing */
#else
#define ML_VECTOR
#define ML_VECTOR_256
#endif

#endif
