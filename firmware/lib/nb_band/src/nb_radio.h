/* The BLE port: what the band asks of a Bluetooth stack and what the stack tells it.

   A board implements `nb_radio_t` (Apache NimBLE on real ones, messages to a virtual radio on emulated ones) and calls the
   events, all from the main loop, never from an interrupt. Whatever the stack says about security is only input: nb_band
   decides from its own record of the bond who may read what. */
#ifndef NB_RADIO_H
#define NB_RADIO_H
#include <stdbool.h>
#include <stdint.h>

#define NB_RADIO_VALUE_BYTES_MAX       512u /* longest attribute value (Core 5.4, Vol 3, Part F, 3.2.9) */
#define NB_RADIO_ADVERTISING_BYTES_MAX 31u
#define NB_RADIO_PASSKEY_MAX           999999u

/* ATT error codes (Core 5.4, Vol 3, Part F, 3.4.1.1). */
#define NB_ATT_OK                  0x00u
#define NB_ATT_READ_NOT_PERMITTED  0x02u
#define NB_ATT_WRITE_NOT_PERMITTED 0x03u
#define NB_ATT_NOT_SUPPORTED       0x06u
#define NB_ATT_NOT_FOUND           0x0Au
#define NB_ATT_BAD_LENGTH          0x0Du
#define NB_ATT_VALUE_NOT_ALLOWED   0x13u
#define NB_ATT_CCCD_IMPROPER       0xFDu
#define NB_ATT_BUSY                0xFEu

/* GATT property bits. */
#define NB_PROPERTY_READ   0x02u
#define NB_PROPERTY_WRITE  0x08u
#define NB_PROPERTY_NOTIFY 0x10u

/* Identity address of a host, in the order on the air. */
typedef struct {
    uint8_t address[6];
    uint8_t type; /* 0 public, 1 random static */
} nb_peer_t;

typedef struct {
    uint16_t attr; /* the characteristic's id in wire.toml */
    uint8_t properties;
    uint8_t security; /* NB_SECURITY_* */
    uint8_t uuid_le[16];
} nb_radio_attribute_t;

typedef struct {
    bool connected;
    bool encrypted;
    bool authenticated;      /* the key in use was made with a passkey */
    bool secure_connections; /* and with LE Secure Connections */
    uint8_t key_bytes;
    nb_peer_t peer;
    uint16_t att_mtu;
} nb_link_t;

typedef struct {
    bool success;
    bool authenticated;
    bool secure_connections;
    uint8_t key_bytes;
    nb_peer_t peer;
} nb_pair_result_t;

/* What the port does for the band. `port` is the port's own. Nothing here blocks. */
typedef struct {
    void *port;
    /* One service with these characteristics; the table stays valid. */
    void (*register_attributes)(void *port, const nb_radio_attribute_t *table, uint8_t count);
    /* Start or stop advertising, connectable, every NB_ADVERTISING_INTERVAL_MS. */
    void (*advertise)(void *port, bool on, const uint8_t *data, uint8_t bytes);
    /* Hand over one notification; false when there is no credit (room) for it now: try again later. */
    bool (*notify)(void *port, uint16_t attr, const uint8_t *value, uint16_t bytes);
    void (*disconnect)(void *port);
    /* Delete every key in the stack. */
    void (*forget)(void *port);
} nb_radio_t;

/* What the port calls. `band` is nb_band_t. */
typedef struct {
    void *band;
    /* The stack is up, for the first time or again: no link, nothing registered. */
    void (*ready)(void *band);
    void (*link)(void *band, const nb_link_t *link);
    /* A host asks to pair: true with the passkey to show, or false to refuse. */
    bool (*pair_request)(void *band, const nb_peer_t *peer, uint32_t *passkey);
    void (*pair_result)(void *band, const nb_pair_result_t *result);
    /* The whole value into `value` (NB_RADIO_VALUE_BYTES_MAX long), or an ATT error. */
    uint8_t (*read)(void *band, uint16_t attr, uint8_t *value, uint16_t *bytes);
    uint8_t (*write)(void *band, uint16_t attr, const uint8_t *value, uint16_t bytes);
    /* A write of the attribute's CCCD. */
    uint8_t (*subscribe)(void *band, uint16_t attr, bool on);
} nb_radio_events_t;

#endif
