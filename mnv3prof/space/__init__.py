"""Design spaces: sets of layer tables, their exact costs, the largest that fit, and estimates of latency."""
