"""Log lines: masked at the source, kept in a ring and in rotated files."""
