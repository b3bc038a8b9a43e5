"""The monitor: one page for clinic and bench, served from this machine. See server.serve."""
