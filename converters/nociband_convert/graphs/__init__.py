"""What makes the graphs of a model: scales and weights of int16x8, the operations and ranges of int8."""
