/* One step of an LSTM in the int16x8 scheme, all four gates of a hidden unit at a time.

   Called by nb_nn_branch with what nociband_convert.kernels.lstm_kernel packed. Bit-identical to LiteRT's reference kernels
   running the step's graph, given the scales that nociband_convert.graphs.scales sets: x and h on one scale; the gates on it
   times a power of two, so coarse that a table of every value fits; the cell and what is added to it on one power of two.

   A row is int16 x[], h[], c[] without gaps, x padded to an even count. A step reads row 0 and writes h and c of row 1.
   The stream has for each unit, gates in the order i, f, g, o: four biases (int32); the weights of two (wide) or four (packed)
   neighbouring values of x, h at a time, a word a gate; four multipliers (int16). A wide word is two int16; a packed one four
   int8 of the values 0, 2, 1, 3 from its low byte, which is how SXTB16 takes them apart. Weights beyond h are 0. */
#ifndef NB_NN_LSTM_H
#define NB_NN_LSTM_H
#include <stdint.h>

#include "nb_nn_scale.h"

typedef struct {
    const uint32_t *stream;
    const int16_t *sigmoid;        /* of a gate's value -1024 to 1023, in steps of 2^-15; the middle of its table */
    const int16_t *tanh;           /* of -512 to 511 */
    const int32_t (*cell_tanh)[2]; /* {base, slope} for each 256 of a cell's value in steps of 1/12288: 2^16 (base + slope v) */
    nb_nn_scale_t added;           /* i * g to the cell's step */
    nb_nn_scale_t hidden;          /* o * tanh(c) to h's step */
    uint16_t units;
    uint16_t row;    /* int16 a row */
    uint16_t inputs; /* of x, padded: h begins here */
    uint16_t words;  /* weights a gate: words of wide or packed */
    uint8_t packed;
    uint8_t right;       /* a gate is (sum * multiplier) >> (16 + right), rounded */
    uint8_t cell_factor; /* steps of 1/12288 in the cell's step */
} nb_nn_lstm_t;

/* One step; `row` is aligned to 4 bytes and followed by the row that is written. The generator's assembly does the same. */
typedef void nb_nn_lstm_step_t(const nb_nn_lstm_t *lstm, int16_t *row);
nb_nn_lstm_step_t nb_nn_lstm_step;

#endif
