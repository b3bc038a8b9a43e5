/* What is sampled and what the model sees.
   Generated from sdk/nociband/spec/features.toml by `make gen`. Do not edit. */
#ifndef NB_FEATURES_SPEC_H
#define NB_FEATURES_SPEC_H
#include <stdint.h>

#define NB_BLOCK_US 40000u
#define NB_EMG_RATE_HZ 1000u
#define NB_EMG_CHANNELS 2u
#define NB_EMG_PER_BLOCK 40u
#define NB_EMG_COUNTS_PER_UNIT 16u /* counts a uV */
#define NB_EMG_SATURATION_COUNTS 32760
#define NB_EDA_RATE_HZ 50u
#define NB_EDA_CHANNELS 1u
#define NB_EDA_PER_BLOCK 2u
#define NB_EDA_COUNTS_PER_UNIT 512u /* counts a uS */
#define NB_EDA_SATURATION_COUNTS 65500
#define NB_ACCEL_RATE_HZ 50u
#define NB_ACCEL_CHANNELS 3u
#define NB_ACCEL_PER_BLOCK 2u
#define NB_ACCEL_COUNTS_PER_UNIT 1u /* counts a mg */

#define NB_FEATURES 6u
#define NB_FEATURE_EDA_TONIC 0u /* uS * 2^8 */
#define NB_FEATURE_EDA_PHASIC 1u /* uS * 2^12 */
#define NB_FEATURE_EMG1_RMS 2u /* log2(count) * 2^11 */
#define NB_FEATURE_EMG1_ENV 3u /* log2(count) * 2^11 */
#define NB_FEATURE_EMG2_RMS 4u /* log2(count) * 2^11 */
#define NB_FEATURE_EMG2_ENV 5u /* log2(count) * 2^11 */
#define NB_FEATURE_Q {8, 12, 11, 11, 11, 11}
#define NB_FEATURE_BASELINE {1, 0, 1, 1, 1, 1}
#define NB_EMG_ENVELOPE_SHIFT 4

/* Butterworth sections {b0, b1, b2, a1, a2} in Q30, see nociband.dsp.coefficients. */
#define NB_SECTION_EMG_HIGH_PASS {982440638, -1964881276, 982440638, -1957103774, 898916953}
#define NB_SECTION_EMG_LOW_PASS {859629548, 1719259094, 859629548, 1676130396, 688645970}
#define NB_SECTION_EDA_LOW_PASS {72429549, 144859097, 72429549, -1227265970, 443242341}
#define NB_SECTION_EDA_TONIC {42016, 84031, 42016, -2128402107, 1054828346}

#define NB_WINDOW_FRAMES 138u
#define NB_PREDICT_EVERY_FRAMES 25u
#define NB_BASELINE_MIN_FRAMES 500u
#define NB_BASELINE_MEMORY_FRAMES 1500u
#define NB_TRUST_EDA_OFF_BELOW_COUNTS 10
#define NB_TRUST_EDA_NOT_RESPONDING_COUNTS 5
#define NB_TRUST_EMG_OFF_BELOW_RMS_COUNTS 1
#define NB_TRUST_SATURATED_SAMPLES_MAX 20
#define NB_TRUST_MOTION_DEVIATION_MG 500

#endif
