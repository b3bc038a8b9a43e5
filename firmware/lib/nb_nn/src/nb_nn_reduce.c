/* See nb_nn_reduce.h. Where neighbouring elements stay apart, a word of them (two int16, four int8) is reduced at a time; where
   they are reduced together, int16 are taken two at a time. */
#include "nb_nn_reduce.h"

#include "nb_nn_simd.h"

enum { LANES_S16 = 2, LANES_S8 = 4 };

static const uint32_t ones = 0x00010001u;

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static int32_t sum_one_s16(const int16_t *x, const nb_nn_reduction_t *o)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        uint32_t j = 0;
        if (o->reduced_step[1] == 1) {
            for (; j + 1 < o->reduced[1]; j += 2) {
                sum = nb_smlad(nb_simd_load(x + j), ones, sum);
            }
        }
        for (; j < o->reduced[1]; j++) {
            sum += x[j * o->reduced_step[1]];
        }
    }
    return sum;
}

static void sum_word_s16(const int16_t *x, const nb_nn_reduction_t *o, int32_t sum[LANES_S16])
{
    sum[0] = sum[1] = 0;
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        const int16_t *row = x;
        for (uint32_t j = 0; j < o->reduced[1]; j++, row += o->reduced_step[1]) {
            const uint32_t v = nb_simd_load(row);
            sum[0] += nb_simd_low(v);
            sum[1] += nb_simd_high(v);
        }
    }
}

void nb_nn_mean_s16(const int16_t *x, const nb_nn_reduction_t *over, const nb_nn_output_t *how, int16_t *y)
{
    for (uint32_t i = 0; i < over->kept[0]; i++, x += over->kept_step[0]) {
        uint32_t j = 0;
        if (over->kept_step[1] == 1) {
            for (; j + 1 < over->kept[1]; j += LANES_S16) {
                int32_t sum[LANES_S16];
                sum_word_s16(x + j, over, sum);
                *y++ = (int16_t)nb_nn_output(sum[0], how);
                *y++ = (int16_t)nb_nn_output(sum[1], how);
            }
        }
        for (; j < over->kept[1]; j++) {
            *y++ = (int16_t)nb_nn_output(sum_one_s16(x + j * over->kept_step[1], over), how);
        }
    }
}

static int32_t sum_one_s8(const int8_t *x, const nb_nn_reduction_t *o)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        uint32_t j = 0;
        if (o->reduced_step[1] == 1) {
            for (; j + 3 < o->reduced[1]; j += LANES_S8) {
                const uint32_t v = nb_simd_load(x + j);
                sum = nb_smlad(nb_sxtb16(v), ones, nb_smlad(nb_sxtb16_ror8(v), ones, sum));
            }
        }
        for (; j < o->reduced[1]; j++) {
            sum += x[j * o->reduced_step[1]];
        }
    }
    return sum;
}

static void sum_word_s8(const int8_t *x, const nb_nn_reduction_t *o, int32_t sum[LANES_S8])
{
    sum[0] = sum[1] = sum[2] = sum[3] = 0;
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        const int8_t *row = x;
        for (uint32_t j = 0; j < o->reduced[1]; j++, row += o->reduced_step[1]) {
            const uint32_t v = nb_simd_load(row);
            sum[0] += (int8_t)(v & 0xFFu);
            sum[1] += (int8_t)(v >> 8 & 0xFFu);
            sum[2] += (int8_t)(v >> 16 & 0xFFu);
            sum[3] += (int8_t)(v >> 24);
        }
    }
}

void nb_nn_mean_s8(const int8_t *x, const nb_nn_reduction_t *over, int32_t zero_sum, const nb_nn_output_t *how, int8_t *y)
{
    for (uint32_t i = 0; i < over->kept[0]; i++, x += over->kept_step[0]) {
        uint32_t j = 0;
        if (over->kept_step[1] == 1) {
            for (; j + 3 < over->kept[1]; j += LANES_S8) {
                int32_t sum[LANES_S8];
                sum_word_s8(x + j, over, sum);
                for (uint32_t k = 0; k < LANES_S8; k++) {
                    *y++ = (int8_t)nb_nn_output(sum[k] - zero_sum, how);
                }
            }
        }
        for (; j < over->kept[1]; j++) {
            *y++ = (int8_t)nb_nn_output(sum_one_s8(x + j * over->kept_step[1], over) - zero_sum, how);
        }
    }
}

static int32_t max_one_s16(const int16_t *x, const nb_nn_reduction_t *o)
{
    int32_t most = INT16_MIN;
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        uint32_t j = 0;
        if (o->reduced_step[1] == 1) {
            uint32_t pair = nb_simd_pack(most, most);
            for (; j + 1 < o->reduced[1]; j += 2) {
                pair = nb_max16(pair, nb_simd_load(x + j));
            }
            most = larger(nb_simd_low(pair), nb_simd_high(pair));
        }
        for (; j < o->reduced[1]; j++) {
            most = larger(most, x[j * o->reduced_step[1]]);
        }
    }
    return most;
}

static uint32_t max_word_s16(const int16_t *x, const nb_nn_reduction_t *o)
{
    uint32_t most = nb_simd_load(x);
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        const int16_t *row = x;
        for (uint32_t j = 0; j < o->reduced[1]; j++, row += o->reduced_step[1]) {
            most = nb_max16(most, nb_simd_load(row));
        }
    }
    return most;
}

void nb_nn_max_s16(const int16_t *x, const nb_nn_reduction_t *over, int16_t *y)
{
    for (uint32_t i = 0; i < over->kept[0]; i++, x += over->kept_step[0]) {
        uint32_t j = 0;
        if (over->kept_step[1] == 1) {
            for (; j + 1 < over->kept[1]; j += LANES_S16, y += LANES_S16) {
                nb_simd_store(y, max_word_s16(x + j, over));
            }
        }
        for (; j < over->kept[1]; j++) {
            *y++ = (int16_t)max_one_s16(x + j * over->kept_step[1], over);
        }
    }
}

static int32_t max_one_s8(const int8_t *x, const nb_nn_reduction_t *o)
{
    int32_t most = INT8_MIN;
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        for (uint32_t j = 0; j < o->reduced[1]; j++) {
            most = larger(most, x[j * o->reduced_step[1]]);
        }
    }
    return most;
}

static void max_word_s8(const int8_t *x, const nb_nn_reduction_t *o, int8_t *y)
{
    uint32_t even = nb_sxtb16(nb_simd_load(x));
    uint32_t odd = nb_sxtb16_ror8(nb_simd_load(x));
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        const int8_t *row = x;
        for (uint32_t j = 0; j < o->reduced[1]; j++, row += o->reduced_step[1]) {
            const uint32_t v = nb_simd_load(row);
            even = nb_max16(even, nb_sxtb16(v));
            odd = nb_max16(odd, nb_sxtb16_ror8(v));
        }
    }
    nb_simd_store(y, (even & 0x00FF00FFu) | (odd & 0x00FF00FFu) << 8);
}

void nb_nn_max_s8(const int8_t *x, const nb_nn_reduction_t *over, int8_t *y)
{
    for (uint32_t i = 0; i < over->kept[0]; i++, x += over->kept_step[0]) {
        uint32_t j = 0;
        if (over->kept_step[1] == 1) {
            for (; j + 3 < over->kept[1]; j += LANES_S8, y += LANES_S8) {
                max_word_s8(x + j, over, y);
            }
        }
        for (; j < over->kept[1]; j++) {
            *y++ = (int8_t)max_one_s8(x + j * over->kept_step[1], over);
        }
    }
}
