"""Trains replicas as one: R variants of a model with a leading axis on every weight, one optimizer, one pass.

A replica's weights depend on nothing in the stack but its own data, bit for bit: replicas share no sum, and no shape
follows from what another replica holds. Two stacks of one size on one device are therefore comparable, so stacks that
memory splits have equal size.
"""
