/* See nb_nn_reduce.h. Where neighbouring elements stay apart, four of them are reduced at a time; where they are reduced
   together, a word is taken at a time. */
#include "nb_nn_reduce.h"

#include "nb_nn_simd.h"

enum { LANES = 4 };

static const uint32_t ones = 0x00010001u;

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Once an output, and in four places: not worth its size in each. */
static __attribute__((noinline)) int32_t mean_of(int32_t sum, const nb_nn_output_t *how)
{
    return nb_nn_output(sum, how);
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

static void sum_four_s16(const int16_t *x, const nb_nn_reduction_t *o, int32_t sum[LANES])
{
    sum[0] = sum[1] = sum[2] = sum[3] = 0;
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        const int16_t *row = x;
        for (uint32_t j = 0; j < o->reduced[1]; j++, row += o->reduced_step[1]) {
            const uint32_t first = nb_simd_load(row);
            const uint32_t second = nb_simd_load(row + 2);
            sum[0] += nb_simd_low(first);
            sum[1] += nb_simd_high(first);
            sum[2] += nb_simd_low(second);
            sum[3] += nb_simd_high(second);
        }
    }
}

void nb_nn_mean_s16(const int16_t *x, const nb_nn_reduction_t *over, const nb_nn_output_t *how, int16_t *y)
{
    for (uint32_t i = 0; i < over->kept[0]; i++, x += over->kept_step[0]) {
        uint32_t j = 0;
        if (over->kept_step[1] == 1) {
            for (; j + 3 < over->kept[1]; j += LANES) {
                int32_t sum[LANES];
                sum_four_s16(x + j, over, sum);
                for (uint32_t k = 0; k < LANES; k++) {
                    *y++ = (int16_t)mean_of(sum[k], how);
                }
            }
        }
        for (; j < over->kept[1]; j++) {
            *y++ = (int16_t)mean_of(sum_one_s16(x + j * over->kept_step[1], over), how);
        }
    }
}

static int32_t sum_one_s8(const int8_t *x, const nb_nn_reduction_t *o)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        uint32_t j = 0;
        if (o->reduced_step[1] == 1) {
            for (; j + 3 < o->reduced[1]; j += LANES) {
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

static void sum_four_s8(const int8_t *x, const nb_nn_reduction_t *o, int32_t sum[LANES])
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
            for (; j + 3 < over->kept[1]; j += LANES) {
                int32_t sum[LANES];
                sum_four_s8(x + j, over, sum);
                for (uint32_t k = 0; k < LANES; k++) {
                    *y++ = (int8_t)mean_of(sum[k] - zero_sum, how);
                }
            }
        }
        for (; j < over->kept[1]; j++) {
            *y++ = (int8_t)mean_of(sum_one_s8(x + j * over->kept_step[1], over) - zero_sum, how);
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

static void max_four_s16(const int16_t *x, const nb_nn_reduction_t *o, int16_t *y)
{
    uint32_t first = nb_simd_load(x);
    uint32_t second = nb_simd_load(x + 2);
    for (uint32_t i = 0; i < o->reduced[0]; i++, x += o->reduced_step[0]) {
        const int16_t *row = x;
        for (uint32_t j = 0; j < o->reduced[1]; j++, row += o->reduced_step[1]) {
            first = nb_max16(first, nb_simd_load(row));
            second = nb_max16(second, nb_simd_load(row + 2));
        }
    }
    nb_simd_store(y, first);
    nb_simd_store(y + 2, second);
}

void nb_nn_max_s16(const int16_t *x, const nb_nn_reduction_t *over, int16_t *y)
{
    for (uint32_t i = 0; i < over->kept[0]; i++, x += over->kept_step[0]) {
        uint32_t j = 0;
        if (over->kept_step[1] == 1) {
            for (; j + 3 < over->kept[1]; j += LANES, y += LANES) {
                max_four_s16(x + j, over, y);
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
        uint32_t j = 0;
        if (o->reduced_step[1] == 1) {
            uint32_t pair = nb_simd_pack(most, most);
            for (; j + 3 < o->reduced[1]; j += LANES) {
                const uint32_t v = nb_simd_load(x + j);
                pair = nb_max16(pair, nb_max16(nb_sxtb16(v), nb_sxtb16_ror8(v)));
            }
            most = larger(nb_simd_low(pair), nb_simd_high(pair));
        }
        for (; j < o->reduced[1]; j++) {
            most = larger(most, x[j * o->reduced_step[1]]);
        }
    }
    return most;
}

static void max_four_s8(const int8_t *x, const nb_nn_reduction_t *o, int8_t *y)
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
            for (; j + 3 < over->kept[1]; j += LANES, y += LANES) {
                max_four_s8(x + j, over, y);
            }
        }
        for (; j < over->kept[1]; j++) {
            *y++ = (int8_t)max_one_s8(x + j * over->kept_step[1], over);
        }
    }
}
