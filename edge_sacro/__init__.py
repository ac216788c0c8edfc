"""Edge-Sacro: finds radiographic sacroiliitis on pelvic radiographs, where the X-ray is taken.

Importing this package loads no inference vendor and no image decoder: each is loaded by the call that needs it.
"""

__version__ = "0.1.0"
