"""Code that runs beside a runtime, on any device. It needs Python 3.8, NumPy and one runtime, and nothing
from the rest of mnv3prof.
"""
