"""Processes of tools: started, watched, and ended with everything that they left."""
