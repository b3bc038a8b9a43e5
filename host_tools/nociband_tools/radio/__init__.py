"""The virtual radio: Bluetooth LE in software (Bumble) between an emulated band and a host, and bleak on top of it.

    band (QEMU, native) --bridge frames--> peripheral --air--> HCI over TCP --> client (bleak backend) --> nociband.band

`bridge` frames messages, `air` is the link layer, `peripheral` mirrors the band's attribute table, `pairing` and `keys` are the
security both ends use, `client` and `bleak_backend` are the host's end. The only package that imports Bumble.
"""

import logging

# Bumble's warnings (a refused pairing is one) are for whoever sets up logging, not for everyone's terminal.
logging.getLogger("bumble").addHandler(logging.NullHandler())
