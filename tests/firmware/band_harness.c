/* What takes hours to show on a running band (clocks and
   counters that wrap), and orders of events that no good radio gives. Prints what fails; exit status 0 when nothing does. */
#include "band_board.h"

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
