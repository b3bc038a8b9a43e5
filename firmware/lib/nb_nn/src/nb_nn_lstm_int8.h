/* LiteRT's integer LSTM over a window: int8 input and hidden state, int16 gates and cell state, int8 weights, zero points 0.
   The same bits as its reference kernel of UNIDIRECTIONAL_SEQUENCE_LSTM (tests/parity/test_nn_lstm_int8.py).

   Called by the C that nociband_convert.kernels.lstm_int8 generates. What the generator proves, and this relies on: sums times
   their left shift fit 32 bits, right shifts are at most 31, the output's factor is below 1.

   The stream has for each hidden unit, gates in the order i, f, g, o: the weights of two (wide) or four (packed) neighbouring
   values of h at a time, a word a gate; four biases (int32); the weights of two values of x at a time. A wide word is two
   int16; a packed one four int8 of the values 0, 2, 1, 3 from its low byte, which is how SXTB16 takes them apart. */
#ifndef NB_NN_LSTM_INT8_H
#define NB_NN_LSTM_INT8_H
#include <stdint.h>

#define NB_NN_LSTM_GATES 4u

/* The curve of sigmoid and tanh: 4096 tanh(v / 2), v in steps of 2^-12, as LiteRT's arithmetic has it. Each block of 128 steps
   has a line, {start} or (packed) {start, slope in 2^-14}; each step a byte or (packed) half a byte that is added. */
#define NB_NN_LSTM_CURVE_BLOCK_BITS 7u
#define NB_NN_LSTM_CURVE_SLOPE_BITS 14u
#define NB_NN_LSTM_CURVE_LAST       37503u

/* Times 2^left * multiplier / 2^32, rounded half up, then / 2^right, rounded half away from zero. */
typedef struct {
    int32_t multiplier;
    uint8_t left;
    uint8_t right;
} nb_nn_lstm_rescale_t;

typedef struct {
    const uint32_t *stream;
    const int16_t *curve_lines;
    const uint8_t *curve_steps;
    uint16_t inputs;
    uint16_t hidden;
    uint8_t packed;                               /* the weights of h, and the curve */
    uint8_t cell_right;                           /* i * g / 2^cell_right is in the cell state's step: 30 + its exponent */
    uint8_t cell_left;                            /* the cell state * 2^cell_left is in the curve's step: 13 + its exponent */
    int16_t clip;                                 /* the cell state's limit, 0 for none */
    nb_nn_lstm_rescale_t input[NB_NN_LSTM_GATES]; /* sums to gates in steps of 2^-12 */
    nb_nn_lstm_rescale_t recurrent[NB_NN_LSTM_GATES];
    nb_nn_lstm_rescale_t output; /* o * tanh(c) to the hidden state's step */
} nb_nn_lstm_int8_t;

/* The state, in int16, aligned to 4 bytes: h, x, c, then the h that a step makes. Each is padded to whole words of weights. */
#define NB_NN_LSTM_COLUMNS(hidden)       (((hidden) + 3u) / 4u * 4u)
#define NB_NN_LSTM_INPUTS(inputs)        (((inputs) + 1u) / 2u * 2u)
#define NB_NN_LSTM_STATE(inputs, hidden) (3u * NB_NN_LSTM_COLUMNS(hidden) + NB_NN_LSTM_INPUTS(inputs))

/* One step: h and x to c and the next h. The generator's assembly does the same. */
typedef void nb_nn_lstm_int8_step_t(const nb_nn_lstm_int8_t *lstm, int16_t *state);
nb_nn_lstm_int8_step_t nb_nn_lstm_int8_step;

/* A window from zero state: rows of x `stride` apart, clamped to int8, to hs[steps][hidden]. */
void nb_nn_lstm_int8(const nb_nn_lstm_int8_t *lstm, nb_nn_lstm_int8_step_t *step, const int16_t *x, uint32_t stride,
                     uint32_t steps, int16_t *state, int8_t *hs);

#endif
