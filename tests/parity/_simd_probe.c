/* All of nb_nn_simd.h on one set of values; compiled twice by test_nn_simd.py, with the DSP extension and without. */
#include "_simd_probe.h"
#include "nb_nn_simd.h"

void PROBE(uint32_t a, uint32_t b, uint32_t c, uint32_t y[PROBES])
{
    const int32_t sa = (int32_t)a;
    const int32_t sb = (int32_t)b;
    const int32_t sc = (int32_t)c;
    const uint32_t bytes[3] = {a, b, c};
    uint32_t n = 0;
    y[n++] = nb_simd_load((const uint8_t *)bytes + 3);
    y[n++] = (uint32_t)nb_simd_low(a);
    y[n++] = (uint32_t)nb_simd_high(a);
    y[n++] = nb_simd_pack(sa, sb);
    y[n++] = nb_simd_pack_high(a, b);
    y[n++] = (uint32_t)nb_smlad(a, b, sc);
    y[n++] = (uint32_t)nb_smlabb(a, b, sc);
    y[n++] = (uint32_t)nb_smlabt(a, b, sc);
    y[n++] = (uint32_t)nb_smlatb(a, b, sc);
    y[n++] = (uint32_t)nb_smlatt(a, b, sc);
    y[n++] = nb_sxtb16(a);
    y[n++] = nb_sxtb16_ror8(a);
    y[n++] = nb_sxtab16(b, a);
    y[n++] = nb_sxtab16_ror8(b, a);
    y[n++] = nb_max16(a, b);
    y[n++] = (uint32_t)nb_ssat(sa, 8);
    y[n++] = (uint32_t)nb_ssat(sa, 16);
    y[n++] = (uint32_t)nb_ssat(sa >> 8, 16);
    y[n++] = (uint32_t)nb_usat(sa, 8);
    y[n++] = (uint32_t)nb_usat(sa >> 12, 16);
    y[n++] = (uint32_t)nb_smmul(sa, sb);
    y[n++] = (uint32_t)nb_smmla(sa, sb, sc);
    y[n++] = (uint32_t)nb_smmulr(sa, sb);
    y[n++] = (uint32_t)nb_smmlar(sa, sb, sc);
    nb_simd_store((uint8_t *)y + 4 * n + 1, a);
    y[n] &= 0xFFFFFF00u;
    y[n + 1] &= 0xFFu;
}
