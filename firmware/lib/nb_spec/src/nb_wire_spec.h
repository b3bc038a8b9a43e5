/* What goes over the air.
   Generated from sdk/nociband/spec/wire.toml by `make gen`. Do not edit. */
#ifndef NB_WIRE_SPEC_H
#define NB_WIRE_SPEC_H
#include <stdint.h>

#define NB_WIRE_MAJOR 1u
#define NB_WIRE_MINOR 0u
#define NB_ATT_MTU 247u
#define NB_ATT_MTU_SIGNALS_MIN 185u
#define NB_SPEC_HASH {0x83, 0xf9, 0x5f, 0x78, 0xa4, 0x9c, 0xad, 0x80}
#define NB_NAME_PREFIX "Nb"
#define NB_ADVERTISING_INTERVAL_MS 100u
#define NB_PAIRING_WINDOW_S 60u
#define NB_PAIRING_FAILURES_MAX 3u
#define NB_PAIRING_KEY_BYTES 16u
#define NB_ATT_ERROR_INSUFFICIENT_AUTHENTICATION 0x05u

/* Security of an attribute. */
#define NB_SECURITY_OPEN 0u
#define NB_SECURITY_BONDED 1u

/* UUIDs: _LE is the order on the air, _BE the order in print. */
#define NB_UUID_SERVICE_LE {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x6e, 0x61, 0x42, 0x69, 0x63, 0x01, 0x00, 0x6f, 0x6e}
#define NB_UUID_SERVICE_BE {0x6e, 0x6f, 0x00, 0x01, 0x63, 0x69, 0x42, 0x61, 0x6e, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}
#define NB_UUID_INFO_LE {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x6e, 0x61, 0x42, 0x69, 0x63, 0x02, 0x00, 0x6f, 0x6e}
#define NB_UUID_INFO_BE {0x6e, 0x6f, 0x00, 0x02, 0x63, 0x69, 0x42, 0x61, 0x6e, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}
#define NB_ATTR_INFO 0x0002u
#define NB_ATTR_INFO_PROPERTIES 0x02u
#define NB_ATTR_INFO_SECURITY NB_SECURITY_OPEN
#define NB_UUID_MANIFEST_LE {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x6e, 0x61, 0x42, 0x69, 0x63, 0x03, 0x00, 0x6f, 0x6e}
#define NB_UUID_MANIFEST_BE {0x6e, 0x6f, 0x00, 0x03, 0x63, 0x69, 0x42, 0x61, 0x6e, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}
#define NB_ATTR_MANIFEST 0x0003u
#define NB_ATTR_MANIFEST_PROPERTIES 0x0au
#define NB_ATTR_MANIFEST_SECURITY NB_SECURITY_BONDED
#define NB_UUID_STREAM_LE {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x6e, 0x61, 0x42, 0x69, 0x63, 0x04, 0x00, 0x6f, 0x6e}
#define NB_UUID_STREAM_BE {0x6e, 0x6f, 0x00, 0x04, 0x63, 0x69, 0x42, 0x61, 0x6e, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}
#define NB_ATTR_STREAM 0x0004u
#define NB_ATTR_STREAM_PROPERTIES 0x10u
#define NB_ATTR_STREAM_SECURITY NB_SECURITY_BONDED
#define NB_UUID_STATUS_LE {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x6e, 0x61, 0x42, 0x69, 0x63, 0x05, 0x00, 0x6f, 0x6e}
#define NB_UUID_STATUS_BE {0x6e, 0x6f, 0x00, 0x05, 0x63, 0x69, 0x42, 0x61, 0x6e, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}
#define NB_ATTR_STATUS 0x0005u
#define NB_ATTR_STATUS_PROPERTIES 0x02u
#define NB_ATTR_STATUS_SECURITY NB_SECURITY_BONDED
#define NB_UUID_CONTROL_LE {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x64, 0x6e, 0x61, 0x42, 0x69, 0x63, 0x06, 0x00, 0x6f, 0x6e}
#define NB_UUID_CONTROL_BE {0x6e, 0x6f, 0x00, 0x06, 0x63, 0x69, 0x42, 0x61, 0x6e, 0x64, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}
#define NB_ATTR_CONTROL 0x0006u
#define NB_ATTR_CONTROL_PROPERTIES 0x18u
#define NB_ATTR_CONTROL_SECURITY NB_SECURITY_BONDED
#define NB_ATTRIBUTES(X) X(INFO) X(MANIFEST) X(STREAM) X(STATUS) X(CONTROL)

/* Begins every frame on the stream. */
typedef struct __attribute__((packed)) {
    uint8_t kind; /* which record follows */
    uint8_t epoch; /* number of the session, modulo 256; filters, baseline, sequence and sample index start anew with it */
    uint32_t seq; /* frame number in this epoch, from 0, without holes: a hole is a lost frame */
    uint64_t t_us; /* [us], device time at which the oldest sample of the frame was acquired (prediction: of the block that ends its window; status: when it was made); monotonic since boot */
} nb_frame_header_t;
#define NB_FRAME_HEADER_BYTES 14u
_Static_assert(sizeof(nb_frame_header_t) == NB_FRAME_HEADER_BYTES, "nb_frame_header");

/* Read before pairing. */
typedef struct __attribute__((packed)) {
    uint8_t wire_major;
    uint8_t wire_minor;
    uint8_t firmware_version[3]; /* major, minor, patch */
    uint8_t reserved;
    uint8_t spec_hash[8]; /* first 8 bytes of the specification's SHA-256 */
    uint8_t model_hash[8]; /* first 8 bytes of the manifest's SHA-256 */
} nb_info_t;
#define NB_INFO_BYTES 22u
_Static_assert(sizeof(nb_info_t) == NB_INFO_BYTES, "nb_info");

/* One page of the manifest. */
typedef struct __attribute__((packed)) {
    uint16_t page;
    uint16_t pages;
    uint32_t bytes_total; /* [byte] */
    /* then data: the rest, as uint8_t */
} nb_manifest_page_t;
#define NB_MANIFEST_PAGE_BYTES 8u
_Static_assert(sizeof(nb_manifest_page_t) == NB_MANIFEST_PAGE_BYTES, "nb_manifest_page");

/* 40 ms of raw samples, as the converters delivered them. */
typedef struct __attribute__((packed)) {
    uint32_t sample_index; /* index in this epoch of the first EMG sample */
    uint16_t eda_counts[2]; /* [count], see features.toml for the scale */
    int16_t emg_counts[80]; /* [count], 40 samples, channels interleaved */
} nb_signals_t;
#define NB_SIGNALS_BYTES 168u
_Static_assert(sizeof(nb_signals_t) == NB_SIGNALS_BYTES, "nb_signals");
#define NB_KIND_SIGNALS 1u

/* 0.5 s of accelerometer samples (left out below att_mtu_signals_min). */
typedef struct __attribute__((packed)) {
    uint32_t sample_index; /* index in this epoch of the first accelerometer sample */
    int16_t accel_mg[75]; /* [mg], 25 samples of x, y, z */
} nb_motion_t;
#define NB_MOTION_BYTES 154u
_Static_assert(sizeof(nb_motion_t) == NB_MOTION_BYTES, "nb_motion");
#define NB_KIND_MOTION 2u

/* Five feature frames (0.2 s). */
typedef struct __attribute__((packed)) {
    uint32_t frame_index; /* index in this epoch of the first feature frame */
    int16_t features[30]; /* 5 frames of the six features of features.toml, in its order and scales */
} nb_features_t;
#define NB_FEATURES_BYTES 64u
_Static_assert(sizeof(nb_features_t) == NB_FEATURES_BYTES, "nb_features");
#define NB_KIND_FEATURES 3u

/* What the model made of the window that ends with feature frame `frame_index`. */
typedef struct __attribute__((packed)) {
    uint32_t frame_index; /* index in this epoch of the window's last feature frame */
    uint16_t why; /* bits of no_score; 0 when the output can be trusted */
    uint8_t quality_percent; /* [%], signal quality over the window */
    uint8_t outputs; /* how many of the logits are used */
    uint32_t compute_us; /* [us], device time that the model took */
    int16_t logits[8]; /* the model's integer output; scale, zero point and class names are in the manifest */
} nb_prediction_t;
#define NB_PREDICTION_BYTES 28u
_Static_assert(sizeof(nb_prediction_t) == NB_PREDICTION_BYTES, "nb_prediction");
#define NB_KIND_PREDICTION 4u

/* The band's own account. */
typedef struct __attribute__((packed)) {
    uint8_t state; /* see [enum.state] */
    uint8_t battery_percent; /* [%] */
    uint16_t flags; /* bits of status_flag */
    uint32_t samples_taken; /* EMG samples taken in this epoch */
    uint32_t underruns; /* ticks in this epoch at which the front end had no sample */
    uint32_t frames_sent; /* frames handed to the radio in this epoch */
    uint32_t frames_dropped; /* frames in this epoch that no credit or link was there for; each leaves a hole in seq */
    uint32_t predictions; /* predictions made in this epoch */
} nb_status_t;
#define NB_STATUS_BYTES 24u
_Static_assert(sizeof(nb_status_t) == NB_STATUS_BYTES, "nb_status");
#define NB_KIND_STATUS 5u

#define NB_OP_GET_TIME 1u /* Device time now, for the clock fit. */
typedef struct __attribute__((packed)) {
    uint64_t t_us; /* [us] */
} nb_get_time_response_t;
#define NB_GET_TIME_RESPONSE_BYTES 8u
_Static_assert(sizeof(nb_get_time_response_t) == NB_GET_TIME_RESPONSE_BYTES, "nb_get_time_response");

#define NB_OP_START 2u /* Starts a new epoch: filters and baseline reset, sampling from the front end's next sample. */
typedef struct __attribute__((packed)) {
    uint8_t epoch;
    uint64_t t_us; /* [us], device time of the epoch's sample 0 */
} nb_start_response_t;
#define NB_START_RESPONSE_BYTES 9u
_Static_assert(sizeof(nb_start_response_t) == NB_START_RESPONSE_BYTES, "nb_start_response");

#define NB_OP_STOP 3u /* Ends the epoch; whole frames and a last status are sent, samples short of a whole 40 ms block are not taken. */
typedef struct __attribute__((packed)) {
    uint32_t samples_taken;
} nb_stop_response_t;
#define NB_STOP_RESPONSE_BYTES 4u
_Static_assert(sizeof(nb_stop_response_t) == NB_STOP_RESPONSE_BYTES, "nb_stop_response");

#define NB_OP_FORGET 4u /* Deletes every bond on the band; the link is closed after the response. */
#define NB_STATE_IDLE 0u
#define NB_STATE_RUNNING 1u
#define NB_STATE_FAULT 2u

#define NB_RESULT_OK 0u
#define NB_RESULT_UNKNOWN_OP 1u
#define NB_RESULT_BAD_LENGTH 2u
#define NB_RESULT_WRONG_STATE 3u
#define NB_RESULT_NOT_READY 4u

#define NB_NO_SCORE_BASELINE_UNFINISHED (1u << 0)
#define NB_NO_SCORE_WINDOW_INCOMPLETE (1u << 1)
#define NB_NO_SCORE_EDA_ELECTRODE_OFF (1u << 2)
#define NB_NO_SCORE_EMG_ELECTRODE_OFF (1u << 3)
#define NB_NO_SCORE_SATURATION (1u << 4)
#define NB_NO_SCORE_MOTION (1u << 5)
#define NB_NO_SCORE_EDA_NOT_RESPONDING (1u << 6)
#define NB_NO_SCORE_ELECTRODE_SITE (1u << 7)
#define NB_NO_SCORE_UNDERRUN (1u << 8)

#define NB_STATUS_FLAG_SIGNALS_WITHHELD (1u << 0)
#define NB_STATUS_FLAG_PAIRING_OPEN (1u << 1)
#define NB_STATUS_FLAG_BONDED (1u << 2)
#define NB_STATUS_FLAG_FRONT_END_READY (1u << 3)

#endif
