"""The heads, one file each. `HEAD` names what a module tags."""
