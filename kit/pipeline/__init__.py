"""The stages as a person runs them, one module each; each skips what is done already.

Nothing is imported here: a stage that needs no JAX should not wait for it.
"""
