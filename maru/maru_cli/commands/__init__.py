"""The commands of `maru`, a file for each or for a group of them."""
