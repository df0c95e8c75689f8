"""Code that runs in a runtime's process, on any device.

It needs Python 3.8, NumPy and one runtime, but no other package of mnv3prof.
"""
