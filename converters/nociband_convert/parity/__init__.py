"""Two comparisons: `quality`, how well integers agree with floating point, and `bits`, whether the C is LiteRT to the bit.

quality judges a conversion (nociband_convert.gates has the limits) and needs torch; bits needs LiteRT and a C compiler.
"""
