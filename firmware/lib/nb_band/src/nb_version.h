/* The firmware's version, shown in `info`. Kept with CHANGELOG.md by hand; the wire's version is wire.toml's. */
#ifndef NB_VERSION_H
#define NB_VERSION_H

#define NB_FIRMWARE_VERSION                                                                                                      \
    {                                                                                                                            \
        0, 1, 0                                                                                                                  \
    }

#endif
