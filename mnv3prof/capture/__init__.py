"""Graphs of networks that are no layer tables: modules, ONNX, TFLite and pt2 files."""
