"""The rules of advice, one module each, with advise(view): the advice that a run's data carry."""
