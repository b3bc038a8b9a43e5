"""Training: from recordings to a folder with model, metrics and calibration windows, for nociband_convert.

tasks (what is to be told apart) -> dataset (windows as the band makes them) -> split (by person) -> loop (fit) -> metrics and
baselines -> run (everything, and the output folder). Only loop, losses, baselines and run need torch.
"""
