"""The functions of `import mnv3prof` that load, measure, compare and report networks."""
