"""One door to all of Maru: keys and roles, one API, the live stream, feeds and the board."""
