"""The installation and daily check: phantoms with golden answers, speed, disk, clock, certificates, files."""
