"""The emulated band: its firmware as a child process, the virtual board around it and the virtual radio.

    source --replayer--> front end --> firmware (QEMU or native) <--bridge--> radio.peripheral --> HCI over TCP for hosts

`source` reads what is replayed, `replayer` hands it over, `process` runs the firmware, `board` is label, button and state folder,
`faults` are faults on purpose, `session` puts it all together for `nociband emulate`.
"""
