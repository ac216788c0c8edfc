"""From stored pixels to what a network sees. In NumPy: these functions specify every faster twin."""
