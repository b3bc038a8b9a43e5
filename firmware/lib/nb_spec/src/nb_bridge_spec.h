/* The virtual board's channels; never on a real band.
   Generated from sdk/nociband/spec/bridge.toml by `make gen`. Do not edit. */
#ifndef NB_BRIDGE_SPEC_H
#define NB_BRIDGE_SPEC_H
#include <stdint.h>

#define NB_BRIDGE_START 0xa5u
#define NB_BRIDGE_PAYLOAD_MAX 600u

#define NB_CHANNEL_RADIO 1u
#define NB_CHANNEL_FRONT_END 2u
#define NB_CHANNEL_BOARD 3u

#define NB_SITE_UNSPECIFIED 0u
#define NB_SITE_CORRUGATOR 1u
#define NB_SITE_ZYGOMATICUS 2u
#define NB_SITE_TRAPEZIUS 3u
#define NB_SITE_FOREARM_FLEXOR 4u
#define NB_SITE_FOREARM_EXTENSOR 5u

#define NB_MSG_RADIO_READY 0x01u /* radio, to the band */
#define NB_MSG_RADIO_REGISTER 0x02u /* radio, to the radio */
/* One attribute of the table, then one with attr = 0 to end it. */
typedef struct __attribute__((packed)) {
    uint16_t attr;
    uint8_t properties; /* GATT property bits: read 0x02, write 0x08, notify 0x10 */
    uint8_t security; /* 0 open, 1 bonded */
    uint8_t uuid[16]; /* over-the-air byte order (little-endian) */
} nb_msg_radio_register_t;
#define NB_MSG_RADIO_REGISTER_BYTES 20u
_Static_assert(sizeof(nb_msg_radio_register_t) == NB_MSG_RADIO_REGISTER_BYTES, "nb_msg_radio_register");

#define NB_MSG_RADIO_ADVERTISE 0x03u /* radio, to the radio */
/* Start (on = 1) or stop advertising with this advertising data. */
typedef struct __attribute__((packed)) {
    uint8_t on;
    /* then data: the rest, as uint8_t */
} nb_msg_radio_advertise_t;
#define NB_MSG_RADIO_ADVERTISE_BYTES 1u
_Static_assert(sizeof(nb_msg_radio_advertise_t) == NB_MSG_RADIO_ADVERTISE_BYTES, "nb_msg_radio_advertise");

#define NB_MSG_RADIO_LINK 0x04u /* radio, to the band */
/* The state of the link, at every change. */
typedef struct __attribute__((packed)) {
    uint8_t connected;
    uint8_t encrypted;
    uint8_t authenticated; /* the stored key was made with a passkey */
    uint8_t secure_connections;
    uint8_t key_bytes;
    uint8_t peer[6]; /* identity address, over-the-air byte order */
    uint8_t peer_type;
    uint16_t att_mtu;
} nb_msg_radio_link_t;
#define NB_MSG_RADIO_LINK_BYTES 14u
_Static_assert(sizeof(nb_msg_radio_link_t) == NB_MSG_RADIO_LINK_BYTES, "nb_msg_radio_link");

#define NB_MSG_RADIO_PAIR_REQUEST 0x05u /* radio, to the band */
/* A host asks to pair. */
typedef struct __attribute__((packed)) {
    uint8_t peer[6];
    uint8_t peer_type;
} nb_msg_radio_pair_request_t;
#define NB_MSG_RADIO_PAIR_REQUEST_BYTES 7u
_Static_assert(sizeof(nb_msg_radio_pair_request_t) == NB_MSG_RADIO_PAIR_REQUEST_BYTES, "nb_msg_radio_pair_request");

#define NB_MSG_RADIO_PAIR_ANSWER 0x06u /* radio, to the radio */
/* Accept with this passkey, or refuse. */
typedef struct __attribute__((packed)) {
    uint8_t accept;
    uint32_t passkey;
} nb_msg_radio_pair_answer_t;
#define NB_MSG_RADIO_PAIR_ANSWER_BYTES 5u
_Static_assert(sizeof(nb_msg_radio_pair_answer_t) == NB_MSG_RADIO_PAIR_ANSWER_BYTES, "nb_msg_radio_pair_answer");

#define NB_MSG_RADIO_PAIR_RESULT 0x07u /* radio, to the band */
/* How pairing ended; on success the band records the bond if it meets wire.toml's `bonded`. */
typedef struct __attribute__((packed)) {
    uint8_t success;
    uint8_t authenticated;
    uint8_t secure_connections;
    uint8_t key_bytes;
    uint8_t peer[6];
    uint8_t peer_type;
} nb_msg_radio_pair_result_t;
#define NB_MSG_RADIO_PAIR_RESULT_BYTES 11u
_Static_assert(sizeof(nb_msg_radio_pair_result_t) == NB_MSG_RADIO_PAIR_RESULT_BYTES, "nb_msg_radio_pair_result");

#define NB_MSG_RADIO_READ 0x08u /* radio, to the band */
typedef struct __attribute__((packed)) {
    uint16_t attr;
} nb_msg_radio_read_t;
#define NB_MSG_RADIO_READ_BYTES 2u
_Static_assert(sizeof(nb_msg_radio_read_t) == NB_MSG_RADIO_READ_BYTES, "nb_msg_radio_read");

#define NB_MSG_RADIO_READ_ANSWER 0x09u /* radio, to the radio */
/* The whole value, or an ATT error (0 = none). The radio serves offsets from it. */
typedef struct __attribute__((packed)) {
    uint16_t attr;
    uint8_t att_error;
    /* then value: the rest, as uint8_t */
} nb_msg_radio_read_answer_t;
#define NB_MSG_RADIO_READ_ANSWER_BYTES 3u
_Static_assert(sizeof(nb_msg_radio_read_answer_t) == NB_MSG_RADIO_READ_ANSWER_BYTES, "nb_msg_radio_read_answer");

#define NB_MSG_RADIO_WRITE 0x0au /* radio, to the band */
typedef struct __attribute__((packed)) {
    uint16_t attr;
    /* then value: the rest, as uint8_t */
} nb_msg_radio_write_t;
#define NB_MSG_RADIO_WRITE_BYTES 2u
_Static_assert(sizeof(nb_msg_radio_write_t) == NB_MSG_RADIO_WRITE_BYTES, "nb_msg_radio_write");

#define NB_MSG_RADIO_WRITE_ANSWER 0x0bu /* radio, to the radio */
typedef struct __attribute__((packed)) {
    uint16_t attr;
    uint8_t att_error;
} nb_msg_radio_write_answer_t;
#define NB_MSG_RADIO_WRITE_ANSWER_BYTES 3u
_Static_assert(sizeof(nb_msg_radio_write_answer_t) == NB_MSG_RADIO_WRITE_ANSWER_BYTES, "nb_msg_radio_write_answer");

#define NB_MSG_RADIO_SUBSCRIBE 0x0cu /* radio, to the band */
/* A write of the attribute's CCCD; answered with radio_write_answer. */
typedef struct __attribute__((packed)) {
    uint16_t attr;
    uint8_t on;
} nb_msg_radio_subscribe_t;
#define NB_MSG_RADIO_SUBSCRIBE_BYTES 3u
_Static_assert(sizeof(nb_msg_radio_subscribe_t) == NB_MSG_RADIO_SUBSCRIBE_BYTES, "nb_msg_radio_subscribe");

#define NB_MSG_RADIO_NOTIFY 0x0du /* radio, to the radio */
/* Costs one credit. */
typedef struct __attribute__((packed)) {
    uint16_t attr;
    /* then value: the rest, as uint8_t */
} nb_msg_radio_notify_t;
#define NB_MSG_RADIO_NOTIFY_BYTES 2u
_Static_assert(sizeof(nb_msg_radio_notify_t) == NB_MSG_RADIO_NOTIFY_BYTES, "nb_msg_radio_notify");

#define NB_MSG_RADIO_CREDIT 0x0eu /* radio, to the band */
/* So many more notifications may be sent. All credits are void when the link is lost. */
typedef struct __attribute__((packed)) {
    uint16_t credits;
} nb_msg_radio_credit_t;
#define NB_MSG_RADIO_CREDIT_BYTES 2u
_Static_assert(sizeof(nb_msg_radio_credit_t) == NB_MSG_RADIO_CREDIT_BYTES, "nb_msg_radio_credit");

#define NB_MSG_RADIO_DISCONNECT 0x0fu /* radio, to the radio */
#define NB_MSG_RADIO_FORGET 0x10u /* radio, to the radio */
#define NB_MSG_SAMPLES 0x20u /* front_end, to the band */
/* 20 ms of samples. The band buffers some and then stops reading: that is the back-pressure. */
typedef struct __attribute__((packed)) {
    uint16_t eda_counts;
    int16_t accel_mg[3];
    int16_t emg_counts[40]; /* 20 samples, channels interleaved */
} nb_msg_samples_t;
#define NB_MSG_SAMPLES_BYTES 88u
_Static_assert(sizeof(nb_msg_samples_t) == NB_MSG_SAMPLES_BYTES, "nb_msg_samples");

#define NB_MSG_IDENTITY 0x30u /* board, to the band */
/* What the factory wrote on the band and its label; the band waits for it before it advertises. */
typedef struct __attribute__((packed)) {
    uint8_t serial[8]; /* ASCII */
    uint32_t passkey; /* 0-999999 */
    uint8_t sites[2]; /* electrode site of each EMG channel, see [sites] */
} nb_msg_identity_t;
#define NB_MSG_IDENTITY_BYTES 14u
_Static_assert(sizeof(nb_msg_identity_t) == NB_MSG_IDENTITY_BYTES, "nb_msg_identity");

#define NB_MSG_BUTTON 0x31u /* board, to the band */
#define NB_MSG_BATTERY 0x32u /* board, to the band */
typedef struct __attribute__((packed)) {
    uint8_t percent;
} nb_msg_battery_t;
#define NB_MSG_BATTERY_BYTES 1u
_Static_assert(sizeof(nb_msg_battery_t) == NB_MSG_BATTERY_BYTES, "nb_msg_battery");

#define NB_MSG_BOOT 0x38u /* board, to the board */
/* Sent once, after reset. */
typedef struct __attribute__((packed)) {
    uint8_t board[8]; /* ASCII: qemu, native */
    uint16_t ring_ms; /* [ms], size of the sample ring */
} nb_msg_boot_t;
#define NB_MSG_BOOT_BYTES 10u
_Static_assert(sizeof(nb_msg_boot_t) == NB_MSG_BOOT_BYTES, "nb_msg_boot");

#endif
