"""Networks of a space as points: drawn or all, their costs, and their front."""
