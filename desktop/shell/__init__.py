"""The program around the window: its start and end, the Qt loop, crashes, one instance."""
