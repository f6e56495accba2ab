"""From bytes to posts: one file a format, pure functions, no exception for what a stranger sent."""
