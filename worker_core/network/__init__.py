"""HTTP, names and proxies: how anything reaches anything."""
