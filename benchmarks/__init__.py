"""Speed and memory, against what users would run instead, and against the limits of the machine."""
