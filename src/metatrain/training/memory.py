"""Memory that is freed and needed again in every step stays with the process."""

import ctypes
import platform

# from glibc's malloc.h
M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
LARGEST_MMAP_THRESHOLD = 32 * 2**20  # HEAP_MAX_SIZE / 2 on 64-bit machines
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> None:
    """Tell the C library not to give freed memory back to the system after each use.

    A step allocates and frees tensors of some MB hundreds of times. By default glibc maps
    each of them anew, and the page faults take a third of the step's time. Other C
    libraries are left as they are.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
    libc.mallopt(M_TRIM_THRESHOLD, LARGEST_INT)
