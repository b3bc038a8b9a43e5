/* Two 16-bit values a word: what the DSP extension of a Cortex-M4 does in one instruction, and the same in plain C.
   With the extension (__ARM_FEATURE_DSP) these are its instructions; elsewhere, or with NB_NN_PORTABLE defined, portable C
   that gives the same bits. Words are little-endian: element 0 is in the low half. */
#ifndef NB_NN_SIMD_H
#define NB_NN_SIMD_H
#include <stdint.h>
#include <string.h>

#if defined(__ARM_FEATURE_DSP) && !defined(NB_NN_PORTABLE)
#define NB_NN_DSP 1
#include <arm_acle.h>
#else
#define NB_NN_DSP 0
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "nb_nn reads weights a word at a time, low byte first"
#endif

/* Two int16 or four int8 as they lie in memory, whatever their alignment: one load where the processor can. */
static inline uint32_t nb_simd_load(const void *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline void nb_simd_store(void *p, uint32_t word)
{
    memcpy(p, &word, sizeof word);
}

static inline int32_t nb_simd_low(uint32_t v)
{
    return (int16_t)(v & 0xFFFFu);
}

static inline int32_t nb_simd_high(uint32_t v)
{
    return (int32_t)v >> 16;
}

/* PKHBT: low | high << 16. */
static inline uint32_t nb_simd_pack(int32_t low, int32_t high)
{
#if NB_NN_DSP
    uint32_t r; /* here and below, assembly where the compiler does not see the one instruction */
    __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(r) : "r"(low), "r"(high));
    return r;
#else
    return ((uint32_t)low & 0xFFFFu) | (uint32_t)high << 16;
#endif
}

/* PKHTB: the high halves, `high`'s on top. */
static inline uint32_t nb_simd_pack_high(uint32_t low, uint32_t high)
{
#if NB_NN_DSP
    uint32_t r;
    __asm("pkhtb %0, %1, %2, asr #16" : "=r"(r) : "r"(high), "r"(low));
    return r;
#else
    return low >> 16 | (high & 0xFFFF0000u);
#endif
}

/* sum + a0 * b0 + a1 * b1, modulo 2^32. */
static inline int32_t nb_smlad(uint32_t a, uint32_t b, int32_t sum)
{
#if NB_NN_DSP
    return __smlad((int16x2_t)a, (int16x2_t)b, sum);
#else
    const uint32_t low = (uint32_t)(nb_simd_low(a) * nb_simd_low(b));
    const uint32_t high = (uint32_t)(nb_simd_high(a) * nb_simd_high(b));
    return (int32_t)((uint32_t)sum + low + high);
#endif
}

/* sum + a product of halves (B low, T high; a's first), modulo 2^32. The compiler knows these forms. */
static inline int32_t nb_smlabb(uint32_t a, uint32_t b, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)(nb_simd_low(a) * nb_simd_low(b)));
}

static inline int32_t nb_smlabt(uint32_t a, uint32_t b, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)(nb_simd_low(a) * nb_simd_high(b)));
}

static inline int32_t nb_smlatb(uint32_t a, uint32_t b, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)(nb_simd_high(a) * nb_simd_low(b)));
}

static inline int32_t nb_smlatt(uint32_t a, uint32_t b, int32_t sum)
{
    return (int32_t)((uint32_t)sum + (uint32_t)(nb_simd_high(a) * nb_simd_high(b)));
}

/* Bytes 0 and 2, and bytes 1 and 3, as two int16. */
static inline uint32_t nb_sxtb16(uint32_t v)
{
#if NB_NN_DSP
    return (uint32_t)__sxtb16((int8x4_t)v);
#else
    return nb_simd_pack((int8_t)(v & 0xFFu), (int8_t)(v >> 16 & 0xFFu));
#endif
}

static inline uint32_t nb_sxtb16_ror8(uint32_t v)
{
#if NB_NN_DSP
    uint32_t r;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(r) : "r"(v));
    return r;
#else
    return nb_simd_pack((int8_t)(v >> 8 & 0xFFu), (int8_t)(v >> 24));
#endif
}

/* The same plus the two int16 of `add`, each modulo 2^16. */
static inline uint32_t nb_sxtab16(uint32_t add, uint32_t v)
{
#if NB_NN_DSP
    return (uint32_t)__sxtab16((int16x2_t)add, (int8x4_t)v);
#else
    return nb_simd_pack(nb_simd_low(add) + (int8_t)(v & 0xFFu), nb_simd_high(add) + (int8_t)(v >> 16 & 0xFFu));
#endif
}

static inline uint32_t nb_sxtab16_ror8(uint32_t add, uint32_t v)
{
#if NB_NN_DSP
    uint32_t r;
    __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(r) : "r"(add), "r"(v));
    return r;
#else
    return nb_simd_pack(nb_simd_low(add) + (int8_t)(v >> 8 & 0xFFu), nb_simd_high(add) + (int8_t)(v >> 24));
#endif
}

/* The larger of each half, signed (SSUB16 and SEL). */
static inline uint32_t nb_max16(uint32_t a, uint32_t b)
{
#if NB_NN_DSP
    (void)__ssub16((int16x2_t)a, (int16x2_t)b);
    return __sel((uint8x4_t)a, (uint8x4_t)b);
#else
    return nb_simd_pack(nb_simd_low(a) > nb_simd_low(b) ? nb_simd_low(a) : nb_simd_low(b),
                        nb_simd_high(a) > nb_simd_high(b) ? nb_simd_high(a) : nb_simd_high(b));
#endif
}

/* Clamped to `bits` signed bits (1 to 32), and to `bits` unsigned bits (0 to 31); `bits` is a constant. */
#if NB_NN_DSP
#define nb_ssat(v, bits) __ssat((v), (bits))
#define nb_usat(v, bits) ((int32_t)__usat((v), (bits)))
#else
static inline int32_t nb_ssat(int32_t v, uint32_t bits)
{
    const int32_t top = (int32_t)((UINT32_C(1) << (bits - 1)) - 1u);
    return v > top ? top : v < -top - 1 ? -top - 1 : v;
}

static inline int32_t nb_usat(int32_t v, uint32_t bits)
{
    const int32_t top = (int32_t)((UINT32_C(1) << bits) - 1u);
    return v > top ? top : v < 0 ? 0 : v;
}
#endif

/* High words of products, `sum` + a * b / 2^32: rounded down, and (r) half up. */
static inline int32_t nb_smmul(int32_t a, int32_t b)
{
#if NB_NN_DSP
    int32_t r;
    __asm("smmul %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return (int32_t)(((int64_t)a * b) >> 32);
#endif
}

static inline int32_t nb_smmla(int32_t a, int32_t b, int32_t sum)
{
#if NB_NN_DSP
    int32_t r;
    __asm("smmla %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(sum));
    return r;
#else
    return (int32_t)((uint32_t)sum + (uint32_t)nb_smmul(a, b));
#endif
}

static inline int32_t nb_smmulr(int32_t a, int32_t b)
{
#if NB_NN_DSP
    int32_t r;
    __asm("smmulr %0, %1, %2" : "=r"(r) : "r"(a), "r"(b));
    return r;
#else
    return (int32_t)(((int64_t)a * b + INT64_C(0x80000000)) >> 32);
#endif
}

static inline int32_t nb_smmlar(int32_t a, int32_t b, int32_t sum)
{
#if NB_NN_DSP
    int32_t r;
    __asm("smmlar %0, %1, %2, %3" : "=r"(r) : "r"(a), "r"(b), "r"(sum));
    return r;
#else
    return (int32_t)((uint32_t)sum + (uint32_t)nb_smmulr(a, b));
#endif
}

#endif
