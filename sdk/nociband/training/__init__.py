"""Training: from recordings to a folder with model, metrics and calibration windows, for nociband_convert.

tasks (what is to be told apart) -> windowed (windows as the band makes them) -> split (by person) -> fitting and loop (the
network) beside estimators (what it must beat) -> metrics -> run (everything, and the output folder).
"""
