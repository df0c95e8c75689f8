"""What runs beside a runtime. It needs Python 3.8, NumPy and the one runtime, and nothing of the rest of
mnv3prof: a device that measures has no more.
"""
