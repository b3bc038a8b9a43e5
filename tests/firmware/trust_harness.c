/* No score without trust, up to the wire: each thing that may be wrong with the signals sets its own bit of `why` in the
   predictions that leave the band, and nothing but a healthy signal leaves it empty. Exit status 0 when that holds. */
#include "band_board.h"

#define WINDOW_US (NB_WINDOW_FRAMES * (uint64_t)NB_BLOCK_US)

static bool eda_off(sampler_slot_t *slot)
{
    healthy(slot);
    slot->eda = NB_TRUST_EDA_OFF_BELOW_COUNTS - 1;
    return true;
}

static bool eda_still(sampler_slot_t *slot)
{
    healthy(slot);
    slot->eda = 2000;
    return true;
}

static bool emg_flat(sampler_slot_t *slot)
{
    healthy(slot);
    for (unsigned i = 0; i < SAMPLER_EMG_PER_SLOT; i++)
        slot->emg[i][1] = 7; /* the second channel only, and not at 0 */
    return true;
}

static bool at_the_rails(sampler_slot_t *slot)
{
    healthy(slot);
    slot->emg[3][0] = INT16_MAX;
    slot->emg[9][1] = INT16_MIN;
    return true;
}

static bool shaken(sampler_slot_t *slot)
{
    healthy(slot);
    slot->accel_mg[0] = INT16_MIN;
    return true;
}

static bool nothing(sampler_slot_t *slot)
{
    (void)slot;
    return false;
}

/* From rail to rail, in steps of any length: what drives filters, sums and the model furthest. */
static bool extreme(sampler_slot_t *slot)
{
    static uint32_t random = 1, left[3];
    static bool high[3];
    for (unsigned i = 0; i < SAMPLER_EMG_PER_SLOT; i++)
        for (unsigned c = 0; c < 3; c++) {
            if (left[c]-- == 0) {
                random = random * 1664525u + 1013904223u;
                left[c] = (random >> 16) % (c == 2 ? 4000 : 40);
                high[c] = !high[c];
            }
            if (c < NB_EMG_CHANNELS)
                slot->emg[i][c] = high[c] ? INT16_MAX : INT16_MIN;
        }
    slot->eda = high[2] ? UINT16_MAX : 0;
    for (unsigned axis = 0; axis < NB_ACCEL_CHANNELS; axis++)
        slot->accel_mg[axis] = high[0] ? INT16_MIN : INT16_MAX;
    return true;
}

/* The last prediction that went out. */
static nb_prediction_t prediction(void)
{
    nb_prediction_t record = {.why = 0xFFFF};
    for (uint32_t i = 0; i < sent; i++)
        if (notified[i].attr == NB_ATTR_STREAM && header_of(i).kind == NB_KIND_PREDICTION)
            memcpy(&record, notified[i].value + sizeof(nb_frame_header_t), sizeof record);
    return record;
}

/* A session with `what` for so long after 21 s of health; `why` of its last prediction. */
static uint16_t after(bool (*what)(sampler_slot_t *slot), uint64_t us)
{
    boot(0);
    deliver = healthy;
    pass(SECOND);
    ask(NB_OP_START);
    pass(21 * SECOND);
    CHECK(prediction().why == 0 && prediction().outputs == nb_model_info.outputs && prediction().quality_percent == 100);
    sent = 0;
    deliver = what;
    pass(us);
    return prediction().why;
}

static void test_each_fault_has_its_reason(void)
{
    const uint64_t soon = 4 * SECOND; /* of which the ring still holds 2.5 s of health */
    CHECK(after(healthy, soon) == 0);
    CHECK(after(eda_off, soon) & NB_NO_SCORE_EDA_ELECTRODE_OFF);
    CHECK(after(at_the_rails, soon) == NB_NO_SCORE_SATURATION);
    CHECK(after(shaken, soon) == NB_NO_SCORE_MOTION);
    CHECK(after(nothing, soon) & NB_NO_SCORE_UNDERRUN);
    CHECK(after(emg_flat, WINDOW_US + soon) == NB_NO_SCORE_EMG_ELECTRODE_OFF);
    CHECK(after(eda_still, 64 * SECOND) == NB_NO_SCORE_EDA_NOT_RESPONDING);
}

static void test_a_fault_is_forgotten_with_its_window_and_no_sooner(void)
{
    CHECK(after(shaken, 3 * SECOND) == NB_NO_SCORE_MOTION);
    deliver = healthy;
    pass(SECOND);
    CHECK(prediction().why == NB_NO_SCORE_MOTION);
    pass(WINDOW_US + 4 * SECOND);
    CHECK(prediction().why == 0);
}

static void test_a_session_begins_without_trust(void)
{
    after(healthy, SECOND);
    ask(NB_OP_STOP);
    pass(SECOND);
    ask(NB_OP_START);
    for (unsigned second = 1; second < 20; second++) {
        sent = 0;
        pass(SECOND);
        const uint16_t why = prediction().why;
        CHECK(why & NB_NO_SCORE_BASELINE_UNFINISHED);
        CHECK(!(why & NB_NO_SCORE_WINDOW_INCOMPLETE) == (second > 5) || second == 5);
        CHECK(!prediction().outputs == !!(why & NB_NO_SCORE_WINDOW_INCOMPLETE));
    }
    pass(2 * SECOND);
    CHECK(prediction().why == 0);
}

static void test_the_worst_signal_overflows_nothing(void)
{
    const uint16_t all = NB_NO_SCORE_SATURATION | NB_NO_SCORE_MOTION | NB_NO_SCORE_EDA_ELECTRODE_OFF;
    CHECK((after(extreme, 100 * SECOND) & all) == all && prediction().quality_percent == 0);
}

static void test_other_electrode_sites(void)
{
    after(healthy, SECOND);
    nb_band_identify(&app.band, &(nb_identity_t){.serial = "NB-00042", .passkey = 123456, .sites = {1, 5}});
    pass(SECOND);
    CHECK(prediction().why == NB_NO_SCORE_ELECTRODE_SITE);
}

int main(void)
{
    test_each_fault_has_its_reason();
    test_a_fault_is_forgotten_with_its_window_and_no_sooner();
    test_a_session_begins_without_trust();
    test_the_worst_signal_overflows_nothing();
    test_other_electrode_sites();
    return failures != 0;
}
