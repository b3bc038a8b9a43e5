/* The way out: numbered frames of the stream, and control responses, in one queue that credits from the radio drain.

   A frame takes its sequence number when it is made, and is counted as dropped when it cannot go: the host then sees the hole. */
#ifndef NB_STREAM_H
#define NB_STREAM_H
#include <stdbool.h>
#include <stdint.h>

#include "nb_radio.h"
#include "nb_wire.h"

#define NB_STREAM_QUEUE    28u /* frames and responses that wait for credits */
#define NB_STREAM_RESERVED 4u  /* places that only control responses may take */

typedef struct {
    uint16_t attr;
    nb_frame_t frame;
} nb_stream_item_t;

typedef struct {
    uint8_t epoch;
    uint32_t seq; /* the next frame's */
    uint32_t frames_sent;
    uint32_t frames_dropped;
    uint8_t head, count;
    nb_stream_item_t queue[NB_STREAM_QUEUE];
} nb_stream_t;

/* Numbers and counters start anew. Control responses that wait stay. */
void nb_stream_begin(nb_stream_t *stream, uint8_t epoch);

/* Make a frame; `allowed` is false when nobody may have it now or it is too long for the link, which drops it. */
void nb_stream_frame(nb_stream_t *stream, bool allowed, uint8_t kind, uint64_t t_us, const void *record, uint16_t bytes);

/* Queue a control response behind the frames before it. False when there is no place. */
bool nb_stream_response(nb_stream_t *stream, const uint8_t *response, uint16_t bytes);

/* Hand over what credits allow. */
void nb_stream_flush(nb_stream_t *stream, const nb_radio_t *radio);

/* Throw away what waits for one attribute: its host has unsubscribed. Frames count as dropped. */
void nb_stream_withdraw(nb_stream_t *stream, uint16_t attr);

/* Throw away what waits: the link is gone, and the next one may be another host's. Frames count as dropped. */
void nb_stream_clear(nb_stream_t *stream);

#endif
