"""Judging models so that a reviewer would believe it: plan -> folds by person -> nested tuning and fits -> metrics -> report.

plan (what was decided beforehand) -> protocols (who trains, who is judged) -> jobs and engine (fits, here or on a Ray cluster) ->
metrics and statistics (figures with intervals over people, paired tests) -> report (HTML, model card). `nociband evaluate`.
"""
