"""Generated C++ for pointwise cells."""
