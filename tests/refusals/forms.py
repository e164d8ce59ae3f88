# SPDX-License-Identifier: MIT
"""Of tests/refusals/run: what a command tells in one form it tells in the others."""
CHECKS = []
