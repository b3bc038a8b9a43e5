"""The report of a run: one HTML page that needs nothing else, and a model card.

Takes the result of nociband.evaluation.evaluate and the Outcomes of its models; writes index.html and model_card.md. The same
input gives the same bytes.
"""

from nociband.evaluation.report.writing import model_card, page, write

__all__ = ["model_card", "page", "write"]
