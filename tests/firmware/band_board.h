/* The application with a clock and a radio of the test's own, and two bonded hosts: for band_harness.c and trust_harness.c. */
#ifndef BAND_BOARD_H
#define BAND_BOARD_H
#include <stdio.h>
#include <string.h>

#include "app.h"
#include "nb_model.h"
#include "nb_wire_spec.h"

static int failures;
#define CHECK(condition) ((condition) ? (void)0 : (void)(failures++, printf("%s:%d: %s\n", __FILE__, __LINE__, #condition)))
#define MS               1000ull
#define SECOND           1000000ull
#define SENT_MAX         4096u

/* --- The board ------------------------------------------------------------------------------------------------------ */

static uint64_t clock_us;
static uint32_t credits, sent, forgets;
static struct {
    uint16_t attr, bytes;
    uint8_t value[NB_FRAME_BYTES_MAX];
} notified[SENT_MAX];

static inline uint64_t now_us(void)
{
    return clock_us;
}

static inline void register_attributes(void *port, const nb_radio_attribute_t *table, uint8_t count)
{
    (void)port, (void)table, (void)count;
}

static inline void advertise(void *port, bool on, const uint8_t *data, uint8_t bytes)
{
    (void)port, (void)on, (void)data, (void)bytes;
}

static inline bool notify(void *port, uint16_t attr, const uint8_t *value, uint16_t bytes)
{
    (void)port;
    if (!credits || sent == SENT_MAX)
        return false;
    credits--;
    notified[sent].attr = attr;
    notified[sent].bytes = bytes;
    memcpy(notified[sent++].value, value, bytes);
    return true;
}

static inline void disconnect(void *port)
{
    (void)port;
}

static inline void forget(void *port)
{
    (void)port;
    forgets++;
}

static inline bool nvm_read(void *port, uint8_t slot, void *data, uint16_t bytes)
{
    (void)port, (void)slot;
    memset(data, 0xFF, bytes);
    return true;
}

static inline bool nvm_write(void *port, uint8_t slot, const void *data, uint16_t bytes)
{
    (void)port, (void)slot, (void)data, (void)bytes;
    return true;
}

/* --- The hosts ------------------------------------------------------------------------------------------------------ */

static app_t app;
static nb_radio_events_t radio;
static const nb_peer_t ANNA = {.address = {1, 2, 3, 4, 5, 6}, .type = 1}, BERT = {.address = {9, 8, 7, 6, 5, 4}, .type = 1};

static inline void link_state(const nb_peer_t *peer, bool connected, bool secure, uint16_t att_mtu)
{
    const nb_link_t link = {.connected = connected,
                            .encrypted = secure,
                            .authenticated = secure,
                            .secure_connections = secure,
                            .key_bytes = secure ? 16 : 0,
                            .peer = *peer,
                            .att_mtu = att_mtu};
    radio.link(radio.band, &link);
}

static inline void pair(const nb_peer_t *peer)
{
    uint32_t passkey;
    const nb_pair_result_t good = {true, true, true, NB_PAIRING_KEY_BYTES, *peer};
    nb_band_button(&app.band);
    link_state(peer, true, false, NB_ATT_MTU);
    CHECK(radio.pair_request(radio.band, peer, &passkey) && passkey == 123456);
    radio.pair_result(radio.band, &good);
}

static inline void arrive(const nb_peer_t *peer)
{
    link_state(peer, true, true, NB_ATT_MTU);
    CHECK(radio.subscribe(radio.band, NB_ATTR_CONTROL, true) == NB_ATT_OK);
    CHECK(radio.subscribe(radio.band, NB_ATTR_STREAM, true) == NB_ATT_OK);
}

static inline void ask(uint8_t op)
{
    CHECK(radio.write(radio.band, NB_ATTR_CONTROL, &op, 1) == NB_ATT_OK);
}

/* A band with samples, bonded with both hosts, Anna listening. */
static inline void boot(uint64_t at_us)
{
    static const nb_radio_t port = {.register_attributes = register_attributes,
                                    .advertise = advertise,
                                    .notify = notify,
                                    .disconnect = disconnect,
                                    .forget = forget};
    static const nb_nvm_t nvm = {.read = nvm_read, .write = nvm_write};
    clock_us = at_us;
    credits = UINT32_MAX;
    sent = forgets = 0;
    app_init(&app, &(app_port_t){.now_us = now_us, .radio = &port, .nvm = &nvm});
    radio = nb_band_events(&app.band);
    nb_band_identify(&app.band, &(nb_identity_t){.serial = "NB-00042", .passkey = 123456, .sites = {1, 2}});
    radio.ready(radio.band);
    pair(&BERT);
    link_state(&BERT, false, false, 23);
    pair(&ANNA);
    arrive(&ANNA);
}

/* Somebody well: a moving EDA, some EMG, gravity. */
static inline bool healthy(sampler_slot_t *slot)
{
    slot->eda = (uint16_t)(2000 + clock_us / SECOND % 100);
    memcpy(slot->accel_mg, (const int16_t[]){0, 0, 1000}, sizeof slot->accel_mg);
    for (unsigned i = 0; i < SAMPLER_EMG_PER_SLOT; i++)
        slot->emg[i][0] = slot->emg[i][1] = (int16_t)(i * 37 % 100 * 10);
    return true;
}

/* What the front end delivers next; false when it has nothing. */
static bool (*deliver)(sampler_slot_t *slot) = healthy;

/* So much time goes by. */
static inline void pass(uint64_t us)
{
    sampler_slot_t slot;
    for (uint64_t until = clock_us + us; clock_us < until; clock_us += MS) {
        while (sampler_has_room(&app.sampler) && deliver(&slot))
            sampler_put(&app.sampler, &slot);
        app_timer(&app);
        app_poll(&app);
    }
}

static inline nb_frame_header_t header_of(uint32_t i)
{
    nb_frame_header_t header;
    memcpy(&header, notified[i].value, sizeof header);
    return header;
}

#endif
