/* The queue to the radio; see nb_stream.h. */
#include "nb_stream.h"

#include <string.h>

static nb_stream_item_t *place(nb_stream_t *stream, uint8_t limit)
{
    if (stream->count >= limit)
        return NULL;
    return &stream->queue[(stream->head + stream->count++) % NB_STREAM_QUEUE];
}

/* Frames of an epoch that is over no longer count. */
static bool is_frame_of_epoch(const nb_stream_t *stream, const nb_stream_item_t *item)
{
    nb_frame_header_t header;
    memcpy(&header, item->frame.data, sizeof header);
    return item->attr == NB_ATTR_STREAM && header.epoch == stream->epoch;
}

static void drop_oldest(nb_stream_t *stream)
{
    stream->head = (uint8_t)((stream->head + 1u) % NB_STREAM_QUEUE);
    stream->count--;
}

void nb_stream_begin(nb_stream_t *stream, uint8_t epoch)
{
    stream->epoch = epoch;
    stream->seq = stream->frames_sent = stream->frames_dropped = 0;
}

void nb_stream_frame(nb_stream_t *stream, bool allowed, uint8_t kind, uint64_t t_us, const void *record, uint16_t bytes)
{
    const uint32_t seq = stream->seq++;
    nb_stream_item_t *item = allowed ? place(stream, NB_STREAM_QUEUE - NB_STREAM_RESERVED) : NULL;
    if (!item) {
        stream->frames_dropped++;
        return;
    }
    item->attr = NB_ATTR_STREAM;
    nb_wire_frame(&item->frame, kind, stream->epoch, seq, t_us, record, bytes);
}

bool nb_stream_response(nb_stream_t *stream, const uint8_t *response, uint16_t bytes)
{
    nb_stream_item_t *item = bytes <= sizeof item->frame.data ? place(stream, NB_STREAM_QUEUE) : NULL;
    if (!item)
        return false;
    item->attr = NB_ATTR_CONTROL;
    item->frame.bytes = bytes;
    memcpy(item->frame.data, response, bytes);
    return true;
}

void nb_stream_flush(nb_stream_t *stream, const nb_radio_t *radio)
{
    while (stream->count) {
        const nb_stream_item_t *item = &stream->queue[stream->head];
        if (!radio->notify(radio->port, item->attr, item->frame.data, item->frame.bytes))
            return;
        stream->frames_sent += is_frame_of_epoch(stream, item);
        drop_oldest(stream);
    }
}

void nb_stream_withdraw(nb_stream_t *stream, uint16_t attr)
{
    for (uint8_t left = stream->count; left; left--) { /* once round: what stays goes to the back */
        const nb_stream_item_t item = stream->queue[stream->head];
        drop_oldest(stream);
        if (item.attr == attr)
            stream->frames_dropped += is_frame_of_epoch(stream, &item);
        else
            *place(stream, NB_STREAM_QUEUE) = item;
    }
}

void nb_stream_clear(nb_stream_t *stream)
{
    for (; stream->count; drop_oldest(stream))
        stream->frames_dropped += is_frame_of_epoch(stream, &stream->queue[stream->head]);
}
