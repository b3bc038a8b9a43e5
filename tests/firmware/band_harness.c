/* The whole application with a clock and a radio of the test's own: what takes hours to show on a running band (clocks and
   counters that wrap), and orders of events that no good radio gives. Prints what fails; exit status 0 when nothing does. */
#include <stdio.h>
#include <string.h>

#include "app.h"
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

static uint64_t now_us(void)
{
    return clock_us;
}

static void register_attributes(void *port, const nb_radio_attribute_t *table, uint8_t count)
{
    (void)port, (void)table, (void)count;
}

static void advertise(void *port, bool on, const uint8_t *data, uint8_t bytes)
{
    (void)port, (void)on, (void)data, (void)bytes;
}

static bool notify(void *port, uint16_t attr, const uint8_t *value, uint16_t bytes)
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

static void disconnect(void *port)
{
    (void)port;
}

static void forget(void *port)
{
    (void)port;
    forgets++;
}

static bool nvm_read(void *port, uint8_t slot, void *data, uint16_t bytes)
{
    (void)port, (void)slot;
    memset(data, 0xFF, bytes);
    return true;
}

static bool nvm_write(void *port, uint8_t slot, const void *data, uint16_t bytes)
{
    (void)port, (void)slot, (void)data, (void)bytes;
    return true;
}

/* --- The hosts ------------------------------------------------------------------------------------------------------ */

static app_t app;
static nb_radio_events_t radio;
static const nb_peer_t ANNA = {.address = {1, 2, 3, 4, 5, 6}, .type = 1}, BERT = {.address = {9, 8, 7, 6, 5, 4}, .type = 1};

static void link_state(const nb_peer_t *peer, bool connected, bool secure, uint16_t att_mtu)
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

static void pair(const nb_peer_t *peer)
{
    uint32_t passkey;
    const nb_pair_result_t good = {true, true, true, NB_PAIRING_KEY_BYTES, *peer};
    nb_band_button(&app.band);
    link_state(peer, true, false, NB_ATT_MTU);
    CHECK(radio.pair_request(radio.band, peer, &passkey) && passkey == 123456);
    radio.pair_result(radio.band, &good);
}

static void arrive(const nb_peer_t *peer)
{
    link_state(peer, true, true, NB_ATT_MTU);
    CHECK(radio.subscribe(radio.band, NB_ATTR_CONTROL, true) == NB_ATT_OK);
    CHECK(radio.subscribe(radio.band, NB_ATTR_STREAM, true) == NB_ATT_OK);
}

static void ask(uint8_t op)
{
    CHECK(radio.write(radio.band, NB_ATTR_CONTROL, &op, 1) == NB_ATT_OK);
}

/* A band with samples, bonded with both hosts, Anna listening. */
static void boot(uint64_t at_us)
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

/* So much time goes by, with the front end always in time. */
static void pass(uint64_t us)
{
    static sampler_slot_t slot;
    for (uint64_t until = clock_us + us; clock_us < until; clock_us += MS) {
        while (sampler_has_room(&app.sampler)) {
            slot.eda = (uint16_t)(2000 + clock_us / SECOND % 100);
            for (unsigned i = 0; i < SAMPLER_EMG_PER_SLOT; i++)
                slot.emg[i][0] = slot.emg[i][1] = (int16_t)(i * 37 % 100 * 10);
            sampler_put(&app.sampler, &slot);
        }
        app_timer(&app);
        app_poll(&app);
    }
}

static nb_frame_header_t header_of(uint32_t i)
{
    nb_frame_header_t header;
    memcpy(&header, notified[i].value, sizeof header);
    return header;
}

/* Numbers below the last that never came, from notification `from` on. */
static uint32_t holes(uint32_t from)
{
    uint32_t frames = 0, end = 0;
    for (uint32_t i = from; i < sent; i++) {
        if (notified[i].attr != NB_ATTR_STREAM)
            continue;
        CHECK(header_of(i).seq >= end);
        end = header_of(i).seq + 1;
        frames++;
    }
    return end - frames;
}

static uint32_t count(uint32_t from, uint16_t attr, int first_byte)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < sent; i++)
        n += notified[i].attr == attr && (first_byte < 0 || notified[i].value[0] == first_byte);
    return n;
}

/* --- Wraps ---------------------------------------------------------------------------------------------------------- */

static void test_device_time_goes_on_past_32_bits(void)
{
    const uint64_t wrap = 1ull << 32; /* 71.6 minutes */
    boot(wrap - 3 * SECOND);
    pass(SECOND);
    ask(NB_OP_START);
    const uint64_t t0_us = clock_us;
    pass(4 * SECOND);
    ask(NB_OP_STOP);
    pass(100 * MS);
    uint32_t late = 0;
    for (uint32_t i = 0; i < sent; i++) {
        nb_signals_t record;
        if (notified[i].attr != NB_ATTR_STREAM || header_of(i).kind != NB_KIND_SIGNALS)
            continue;
        memcpy(&record, notified[i].value + sizeof(nb_frame_header_t), sizeof record);
        CHECK(header_of(i).t_us == t0_us + record.sample_index * MS);
        late += header_of(i).t_us > wrap;
    }
    CHECK(late >= 45 && holes(0) == 0 && app.sampler.underruns == 0);
}

static void test_epoch_and_sequence_wrap(void)
{
    boot(0);
    app.band.stream.epoch = 254;
    pass(SECOND);
    for (unsigned epoch = 255; epoch <= 257; epoch++) {
        sent = 0;
        ask(NB_OP_START);
        pass(200 * MS);
        app.band.stream.seq += UINT32_MAX - 20u; /* as after years */
        pass(SECOND);
        ask(NB_OP_STOP);
        pass(100 * MS);
        CHECK(notified[0].value[2] == (uint8_t)epoch);
        uint32_t before = 0;
        for (uint32_t i = 0; i < sent; i++)
            if (notified[i].attr == NB_ATTR_STREAM) {
                CHECK(header_of(i).epoch == (uint8_t)epoch && (before == 0 || header_of(i).seq - before < UINT32_MAX));
                before = header_of(i).seq;
            }
        CHECK(before < 40 && app.band.stream.frames_sent == count(0, NB_ATTR_STREAM, -1) && !app.band.stream.frames_dropped);
    }
}

/* --- Links ---------------------------------------------------------------------------------------------------------- */

static void test_a_link_made_again_leaves_holes_not_silence(void)
{
    boot(0);
    pass(SECOND);
    ask(NB_OP_START);
    pass(SECOND);
    link_state(&ANNA, false, false, 23);
    pass(200 * MS);
    link_state(&ANNA, true, false, 23); /* no MTU exchange yet: signals would be withheld from a host that listens */
    pass(400 * MS);
    link_state(&ANNA, true, true, 23);
    pass(200 * MS);
    arrive(&ANNA);
    pass(SECOND);
    ask(NB_OP_STOP);
    pass(100 * MS);
    CHECK(holes(0) == app.band.stream.frames_dropped);
    const uint32_t blocks = app.sampler.samples_taken / NB_EMG_PER_BLOCK;
    CHECK(blocks - count(0, NB_ATTR_STREAM, NB_KIND_SIGNALS) <= holes(0));
    CHECK(blocks - count(0, NB_ATTR_STREAM, NB_KIND_SIGNALS) >= 19);
}

static void test_nothing_passes_to_another_host(void)
{
    boot(0);
    pass(SECOND);
    ask(NB_OP_START);
    pass(SECOND);
    credits = 0;
    ask(NB_OP_GET_TIME);
    pass(500 * MS);
    CHECK(app.band.stream.count > 5);
    link_state(&BERT, true, true, NB_ATT_MTU); /* bonded as well; the stack never said that Anna went */
    const uint32_t seen = sent;
    credits = UINT32_MAX;
    pass(500 * MS);
    CHECK(sent == seen);
    const uint8_t op = NB_OP_GET_TIME;
    CHECK(radio.write(radio.band, NB_ATTR_CONTROL, &op, 1) == NB_ATT_CCCD_IMPROPER);
}

static void test_the_answer_to_stop_goes_to_who_asked(void)
{
    boot(0);
    pass(SECOND);
    ask(NB_OP_START);
    pass(SECOND);
    credits = 0;
    pass(SECOND);
    ask(NB_OP_STOP);
    link_state(&ANNA, false, false, 23);
    arrive(&BERT); /* before the band has come round to finishing */
    const uint32_t seen = sent;
    credits = UINT32_MAX;
    pass(4 * SECOND);
    CHECK(!app.band.running && count(seen, NB_ATTR_CONTROL, -1) == 0);
    ask(NB_OP_START);
    pass(100 * MS);
    CHECK(count(seen, NB_ATTR_CONTROL, NB_OP_START) == 1);
}

static void test_unsubscribed_is_withdrawn(void)
{
    boot(0);
    pass(SECOND);
    ask(NB_OP_START);
    pass(SECOND);
    credits = 0;
    pass(SECOND / 2);
    ask(NB_OP_GET_TIME);
    const uint32_t seen = sent, waiting = app.band.stream.count;
    CHECK(waiting > 5 && radio.subscribe(radio.band, NB_ATTR_STREAM, false) == NB_ATT_OK);
    CHECK(app.band.stream.count == 1 && app.band.stream.frames_dropped == waiting - 1);
    credits = UINT32_MAX;
    pass(SECOND / 2);
    CHECK(sent == seen + 1 && notified[seen].attr == NB_ATTR_CONTROL);
    ask(NB_OP_STOP);
    CHECK(radio.subscribe(radio.band, NB_ATTR_CONTROL, false) == NB_ATT_OK);
    pass(SECOND / 2);
    CHECK(sent == seen + 1 && !app.band.running);
}

static void test_pairing_needs_a_link(void)
{
    uint32_t passkey;
    boot(0);
    link_state(&ANNA, false, false, 23);
    nb_band_button(&app.band);
    CHECK(!radio.pair_request(radio.band, &ANNA, &passkey));
}

static void test_forget_reaches_a_radio_that_began_anew(void)
{
    boot(0);
    credits = 0;
    ask(NB_OP_FORGET);
    radio.ready(radio.band);
    CHECK(forgets == 1 && app.band.bonds.count == 0);
    pass(2 * SECOND);
    CHECK(forgets == 1 && sent == 0);
}

/* Whatever is asked for, in whatever order: state and answers hold together. */
static void test_operations_in_any_order(void)
{
    uint32_t random = 1;
    boot(0);
    pass(SECOND);
    for (int i = 0; i < 3000; i++) {
        random = random * 1664525u + 1013904223u;
        const uint8_t op = (uint8_t)(random >> 24) % 6; /* 0 and 5 are none */
        const bool forgets_now = op == NB_OP_FORGET && (random >> 8) % 8 == 0;
        if (op != NB_OP_FORGET || forgets_now)
            radio.write(radio.band, NB_ATTR_CONTROL, &op, 1);
        credits = (random >> 16) % 4 ? UINT32_MAX : 0;
        pass((random >> 12) % 120 * MS);
        CHECK(!app.band.stopping || app.band.running);
        CHECK(app.band.running || !app.sampler.running);
        CHECK(app.band.stream.count <= NB_STREAM_QUEUE);
        if (forgets_now) {
            link_state(&ANNA, false, false, 23);
            pair(&ANNA);
            arrive(&ANNA);
        }
        sent = 0;
    }
}

int main(void)
{
    test_device_time_goes_on_past_32_bits();
    test_epoch_and_sequence_wrap();
    test_a_link_made_again_leaves_holes_not_silence();
    test_nothing_passes_to_another_host();
    test_the_answer_to_stop_goes_to_who_asked();
    test_unsubscribed_is_withdrawn();
    test_pairing_needs_a_link();
    test_forget_reaches_a_radio_that_began_anew();
    test_operations_in_any_order();
    return failures != 0;
}
