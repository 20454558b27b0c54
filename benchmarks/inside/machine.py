"""What the machine can do at best: multiply matrices and copy memory."""

import argparse
import json
import time

import torch

SIZE = 2048
COPIED_BYTES = 2**28
TRIES = 5


def main() -> None:
    """Print the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    device = torch.device(parser.parse_args().device)
    limits = {
        f"{short} GFLOP/s": multiplying(dtype, device)
        for short, dtype in (("f32", "float32"), ("f64", "float64"), ("bf16", "bfloat16"))
    }
    print(json.dumps(limits | {"copy GB/s": copying(device)}))


def multiplying(dtype: str, device: torch.device) -> float:
    """Billions of operations in a second, of the product of two square matrices."""
    left, right = (torch.rand(SIZE, SIZE, device=device).to(getattr(torch, dtype)) for _ in "ab")
    result = torch.empty_like(left)
    return 2 * SIZE**3 / fastest(lambda: torch.mm(left, right, out=result), device) / 1e9


def copying(device: torch.device) -> float:
    """Billions of bytes read and written in a second, of an array that fits no cache."""
    source = torch.zeros(COPIED_BYTES, dtype=torch.uint8, device=device)
    copy = torch.empty_like(source)
    return 2 * COPIED_BYTES / fastest(lambda: copy.copy_(source), device) / 1e9


def fastest(work, device: torch.device) -> float:
    """Seconds that it takes when nothing disturbs it."""
    times = []
    for _ in range(TRIES):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
