/* Matrix products and what slides a window over an image: fully connected layers, convolutions, pooling, with activations in
   int8 or int16 and weights in int8. See nb_nn.h for what all kernels share. Images are [height][width][channels], a series over
   time one of height 1. Padding counts as the input's zero point (convolutions) or not at all (pooling).

   Names end in the type of the activations, s8 or s16; _wide has sums of 64 bits, for layers whose sums could exceed 32. */
#ifndef NB_NN_MATRIX_H
#define NB_NN_MATRIX_H
#include <stddef.h>

#include "nb_nn_scale.h"

/* What there is to a layer beside its input. LiteRT rounds an int8 convolution twice, all else once. */
typedef struct {
    const int8_t *weights;           /* [outputs][products]; of a depthwise convolution [taps][outputs] */
    const int32_t *bias;             /* [outputs], and so are all below; NULL in a wide layer. Of FULLY_CONNECTED and CONV_2D it
                                        has x's zero point in it: less x_zero times the sum of the output's weights */
    const int64_t *wide_bias;        /* of a wide layer */
    const nb_nn_channel_t *channels; /* right is 1 to 62, and above 20 in a wide layer; rounded twice: |sums| stay below 2^30 */
    const int32_t *fine;             /* the next 31 bits of each multiplier; NULL where all are 0 */
    uint16_t outputs;
    uint16_t products; /* multiply-accumulates an output */
    int16_t x_zero;    /* zero points; 0 for int16 */
    int16_t y_zero;
    int16_t least; /* range of the output: its type's, or a fused activation's */
    int16_t greatest;
} nb_nn_layer_t;

/* A window that slides over an image, and what comes out. */
typedef struct {
    uint16_t height;
    uint16_t width;
    uint16_t channels;
    uint16_t out_height;
    uint16_t out_width;
    uint16_t outputs; /* channels of the output */
    uint16_t kernel_height;
    uint16_t kernel_width;
    uint16_t stride_height;
    uint16_t stride_width;
    uint16_t dilation_height;
    uint16_t dilation_width;
    uint16_t top; /* padding before the image */
    uint16_t left;
} nb_nn_window_t;

/* y[rows][outputs] = bias + x[rows][products] weights. LiteRT's FULLY_CONNECTED. */
void nb_nn_fully_connected_s8(const int8_t *x, uint32_t rows, const nb_nn_layer_t *layer, int8_t *y);
void nb_nn_fully_connected_s16(const int16_t *x, uint32_t rows, const nb_nn_layer_t *layer, int16_t *y);
void nb_nn_fully_connected_s16_wide(const int16_t *x, uint32_t rows, const nb_nn_layer_t *layer, int16_t *y);

/* CONV_2D. `patch` is room for layer->products elements, where a window does not lie in the image in one piece. */
void nb_nn_conv_s8(const int8_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int8_t *patch, int8_t *y);
void nb_nn_conv_s16(const int16_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int16_t *patch, int16_t *y);
void nb_nn_conv_s16_wide(const int16_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int16_t *patch, int16_t *y);

/* DEPTHWISE_CONV_2D; output o reads channel o / (outputs / channels). */
void nb_nn_depthwise_s8(const int8_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int8_t *y);
void nb_nn_depthwise_s16(const int16_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int16_t *y);
void nb_nn_depthwise_s16_wide(const int16_t *x, const nb_nn_window_t *window, const nb_nn_layer_t *layer, int16_t *y);

/* AVERAGE_POOL_2D (half away from zero) and MAX_POOL_2D, then clamped; outputs = channels. */
void nb_nn_average_pool_s8(const int8_t *x, const nb_nn_window_t *window, int32_t least, int32_t greatest, int8_t *y);
void nb_nn_average_pool_s16(const int16_t *x, const nb_nn_window_t *window, int32_t least, int32_t greatest, int16_t *y);
void nb_nn_max_pool_s8(const int8_t *x, const nb_nn_window_t *window, int32_t least, int32_t greatest, int8_t *y);
void nb_nn_max_pool_s16(const int16_t *x, const nb_nn_window_t *window, int32_t least, int32_t greatest, int16_t *y);

#endif
