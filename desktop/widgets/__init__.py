"""The pieces that pages are made of, drawn from the theme's tokens."""
