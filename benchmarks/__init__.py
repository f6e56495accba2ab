"""Measures Maru beside plain references in the same run: `make bench`.

One file for each figure. Every reference is the simplest program that does the inevitable part of
the same work on the same servers, and takes turns with ours, so that a busy machine slows both.
"""
