"""From stored pixels to what a network sees. NumPy first: these functions are the specification of every faster twin."""
