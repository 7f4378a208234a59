"""What Armillary is measured against: the same models in SimPy, in C and in NumPy, with the same results."""
