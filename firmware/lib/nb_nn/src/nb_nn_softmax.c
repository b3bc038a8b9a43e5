/* See nb_nn_softmax.h. Formulas follow LiteRT's published integer arithmetic. */
#include "nb_nn_softmax.h"

enum { TABLE_BITS = 7, SUM_BITS = 12 };

static int32_t leading_zeros(uint32_t v)
{
    return __builtin_clz(v);
}

/* A table of 513 values over all of int16, interpolated. */
static int32_t look_up(int32_t v, const int16_t *table)
{
    const int16_t *at = table + 256 + (v >> TABLE_BITS);
    const int32_t slope = (int16_t)(at[1] - at[0]);
    return (int16_t)(at[0] + ((slope * (v & ((1 << TABLE_BITS) - 1)) + (1 << (TABLE_BITS - 1))) >> TABLE_BITS));
}

static void normalise_s16(int16_t *y, uint32_t columns, int32_t sum, const int16_t *reciprocals)
{
    /* sum = (1 + v) 2^n with v from 0 to 1; v in steps of 2^-16, from -2^15. */
    const int32_t zeros = leading_zeros((uint32_t)sum);
    const int32_t shifted = (int32_t)((((int64_t)sum << (zeros - 1)) + (1 << 13)) >> 14);
    const int32_t reciprocal = look_up(nb_nn_clamp_int16(shifted - (1 << 15) - (1 << 16)), reciprocals);
    const int32_t right = 31 - zeros;
    const int32_t half = 1 << (right - 1);
    for (uint32_t c = 0; c < columns; c++) {
        y[c] = (int16_t)nb_usat((y[c] * reciprocal + half) >> right, 15);
    }
}

void nb_nn_softmax_s16(const int16_t *x, uint32_t rows, uint32_t columns, const nb_nn_softmax_t *how, int16_t *y)
{
    const nb_nn_ready_t scale = nb_nn_ready(&how->scale);
    for (uint32_t r = 0; r < rows; r++, x += columns, y += columns) {
        int32_t most = x[0];
        for (uint32_t c = 1; c < columns; c++) {
            most = x[c] > most ? x[c] : most;
        }
        int32_t sum = 0;
        for (uint32_t c = 0; c < columns; c++) {
            const int32_t v = nb_nn_rescale_ready(x[c] - most, &scale) + INT16_MAX;
            y[c] = (int16_t)look_up(v < INT16_MIN ? INT16_MIN : v, how->exp);
            sum += y[c];
        }
        normalise_s16(y, columns, sum, how->reciprocal);
    }
}

/* a * b / 2^31, rounded. */
static int32_t high_product(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

static int32_t shift_left_saturating(int32_t v, uint32_t left)
{
    const int64_t wide = (int64_t)v * (1 << left);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

/* 2^31 / (1 + v / 2^31) by Newton's method from 48/17 - 32/17 d, d = (1 + v) / 2; x has 29 fractional bits. */
static int32_t reciprocal_of_one_plus(int32_t v)
{
    const int32_t d = (int32_t)(((int64_t)v + INT32_MAX + 1) / 2);
    int32_t x = 1515870810 + high_product(d, -1010580540);
    for (uint32_t i = 0; i < 3; i++) {
        const int32_t rest = (1 << 29) - high_product(d, x);
        x += shift_left_saturating(high_product(x, rest), 2);
    }
    return shift_left_saturating(x, 1);
}

/* v / 2^right, half away from zero. v is not negative. */
static int32_t shift_right_rounding(int32_t v, int32_t right)
{
    return right > 0 ? (int32_t)(((int64_t)v + ((int64_t)1 << (right - 1))) >> right) : v;
}

static int32_t exponential(int32_t difference, const int32_t *exp, uint32_t steps)
{
    return (uint32_t)-difference < steps ? exp[-difference] : 0;
}

void nb_nn_softmax_s8(const int8_t *x, uint32_t rows, uint32_t columns, const int32_t *exp, uint32_t steps, int8_t *y)
{
    for (uint32_t r = 0; r < rows; r++, x += columns, y += columns) {
        int32_t most = x[0];
        for (uint32_t c = 1; c < columns; c++) {
            most = x[c] > most ? x[c] : most;
        }
        int32_t sum = 0;
        for (uint32_t c = 0; c < columns; c++) {
            sum += shift_right_rounding(exponential(x[c] - most, exp, steps), SUM_BITS);
        }
        const int32_t zeros = leading_zeros((uint32_t)sum);
        const int32_t reciprocal = reciprocal_of_one_plus((int32_t)(((uint32_t)sum << zeros) - (UINT32_C(1) << 31)));
        const int32_t right = SUM_BITS - zeros + 31 - 8;
        for (uint32_t c = 0; c < columns; c++) {
            const int32_t product = high_product(reciprocal, exponential(x[c] - most, exp, steps));
            const int32_t v = shift_right_rounding(product, right) + INT8_MIN;
            y[c] = (int8_t)(v > INT8_MAX ? INT8_MAX : v);
        }
    }
}
