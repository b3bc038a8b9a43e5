"""LiteRT's integer arithmetic, to the bit: multipliers, roundings, and the functions of gates as tables."""
