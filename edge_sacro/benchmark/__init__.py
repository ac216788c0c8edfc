"""What an assessment costs on this machine: time, memory and energy, as one document; two beside each other."""
