"""What this machine can compute with. Every choice of a path or a precision asks here, and never assumes."""

from __future__ import annotations

import torch


def fused_lstm(device: str, dtype: torch.dtype) -> bool:
    """Whether PyTorch's fused LSTM computes in a dtype that autocast asks for.

    oneDNN has a bfloat16 LSTM on processors with AVX-512 alone, and none that trains in float16: there PyTorch raises
    at the first batch.
    """
    if device != "cpu" or dtype not in (torch.bfloat16, torch.float16) or not torch.backends.mkldnn.is_available():
        return True
    return dtype == torch.bfloat16 and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def bfloat16(device: str) -> bool:
    """Whether a device computes in bfloat16 by its own instructions, so that it is faster than float32."""
    if device == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    return device == "cpu" and fused_lstm("cpu", torch.bfloat16) and torch.backends.mkldnn.is_available()
