/*
 * fingerprint.c - a hash per row, summed.
 *
 * The hash of a row is NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: UMAC, 1999)
 * over the halves of its doubles: for each one product of 32-bit sums with keys of
 * its place, added up; twice with shifted keys, then mixed, so that nothing of the
 * linear structure is left when rows are summed.  Products do not wait for each
 * other: 20 columns take some 10 ns.
 */
#include "core/fingerprint.h"

#include "common/hashfn.h"
#include "port/pg_bswap.h"

#define KEYS 256				/* a place beyond uses one of these again, moved */
#define GOLDEN UINT64CONST(0x9e3779b97f4a7c15)
#define NULL_BITS UINT64CONST(0x7ff8000000000000)

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64
mix(uint64 h)
{
	h = (h ^ (h >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

static const uint64 *
key_table(void)
{
	static uint64 keys[KEYS + 1];

	if (keys[0] == 0)
	{
		for (int i = KEYS; i >= 0; i--)
			keys[i] = mix((i + 1) * GOLDEN);
	}
	return keys;
}

static inline uint64
product(uint64 bits, uint64 key)
{
	return (uint64) (uint32) (bits + key) * (uint32) ((bits >> 32) + (key >> 32));
}

/* Places that share a move of the keys. */
static inline void
add_some(MlRowHash *hash, const double *values, int n, const uint64 *keys, uint64 shift)
{
	for (int i = 0; i < n; i++)
	{
		double		value = values[i] + 0.0;	/* makes 0 of -0 */
		uint64		bits;

		memcpy(&bits, &value, sizeof(bits));
		bits = value != value ? NULL_BITS : bits;
		hash->lane[0] += product(bits, keys[i] + shift);
		hash->lane[1] += product(bits, keys[i + 1] + shift);
	}
}

void
ml_row_hash_end(const MlRowHash *hash, MlFingerprint *sum)
{
	uint64		a = mix(hash->lane[0] + (hash->lane[1] << 32 | hash->lane[1] >> 32) + GOLDEN);

	sum->sum[0] += a;
	sum->sum[1] += mix(hash->lane[1] ^ a);
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDE_SUMS __builtin_cpu_supports("avx2")
#define WIDE __attribute__((target("avx2")))
typedef double Doubles __attribute__((vector_size(4 * sizeof(double)), aligned(sizeof(double)), may_alias));
typedef uint64 Words __attribute__((vector_size(4 * sizeof(uint64)), aligned(sizeof(uint64)), may_alias));
typedef int Halves __attribute__((vector_size(8 * sizeof(int))));

/* The same sums, four places at a time. */
WIDE static inline void
add_fours(MlRowHash *hash, const double *values, int n, const uint64 *keys, uint64 shift)
{
	int			fours = n / 4 * 4;
	Words		a = {0};
	Words		b = {0};

	for (int i = 0; i < fours; i += 4)
	{
		Doubles		value = *(const Doubles *) (values + i) + 0.0;
		Words		null = (Words) (value != value);
		Words		bits = ((Words) value & ~null) | (NULL_BITS & null);
		Words		high = bits >> 32;
		Words		key = *(const Words *) (keys + i) + shift;
		Words		next = *(const Words *) (keys + i + 1) + shift;

		a += (Words) __builtin_ia32_pmuludq256((Halves) (bits + key), (Halves) (high + (key >> 32)));
		b += (Words) __builtin_ia32_pmuludq256((Halves) (bits + next), (Halves) (high + (next >> 32)));
	}
	hash->lane[0] += a[0] + a[1] + a[2] + a[3];
	hash->lane[1] += b[0] + b[1] + b[2] + b[3];
	add_some(hash, values + fours, n - fours, keys + fours, shift);
}
#else
#define WIDE_SUMS false
#define WIDE
#define add_fours add_some
#endif

/* Rows whose places need no moved keys. */
WIDE static void
add_rows(MlFingerprint *sum, const double *x, int n, int k, int stride,
		 const double *y, const double *w, int step, const uint64 *keys)
{
	for (int i = 0; i < n; i++)
	{
		MlRowHash	hash = {{0, 0}};

		add_fours(&hash, x + (Size) i * stride, k, keys, 0);
		add_some(&hash, y + (Size) i * step, 1, keys + k, 0);
		if (w != NULL)
			add_some(&hash, w + (Size) i * step, 1, keys + k + 1, 0);
		ml_row_hash_end(&hash, sum);
	}
}

void
ml_row_hash_add(MlRowHash *hash, const double *values, int n, int place)
{
	const uint64 *keys = key_table();

	while (n > 0)
	{
		int			at = place % KEYS;
		int			m = Min(n, KEYS - at);
		uint64		shift = (uint64) (place / KEYS) * GOLDEN;

		if (m >= 4 && WIDE_SUMS)
			add_fours(hash, values, m, keys + at, shift);
		else
			add_some(hash, values, m, keys + at, shift);
		values += m;
		place += m;
		n -= m;
	}
}

void
ml_fingerprint_rows(MlFingerprint *sum, const double *x, int n, int k, int stride,
					const double *y, const double *w, int step)
{
	if (k + 2 <= KEYS && WIDE_SUMS)
	{
		add_rows(sum, x, n, k, stride, y, w, step, key_table());
		return;
	}
	for (int i = 0; i < n; i++)
	{
		MlRowHash	hash = {{0, 0}};

		ml_row_hash_add(&hash, x + (Size) i * stride, k, 0);
		ml_row_hash_add(&hash, y + (Size) i * step, 1, k);
		if (w != NULL)
			ml_row_hash_add(&hash, w + (Size) i * step, 1, k + 1);
		ml_row_hash_end(&hash, sum);
	}
}

void
ml_fingerprint_add(MlFingerprint *sum, const MlFingerprint *other, bool subtract)
{
	for (int i = 0; i < 2; i++)
		sum->sum[i] = subtract ? sum->sum[i] - other->sum[i] : sum->sum[i] + other->sum[i];
}

double
ml_fingerprint_text(const char *bytes, int len)
{
	/* Without the highest bit of the exponent it is a finite number. */
	uint64		bits = hash_bytes_extended((const unsigned char *) bytes, len, 0) & ~(UINT64CONST(1) << 62);
	double		value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

void
ml_fingerprint_bytes(const MlFingerprint *sum, uint8 *bytes)
{
	uint64		words[2] = {pg_hton64(sum->sum[0]), pg_hton64(sum->sum[1])};

	memcpy(bytes, words, sizeof(words));
}
