"""The machines that jobs of the stand-in may ask for, and what each costs a minute: numbers to count with, no offer."""

from __future__ import annotations

from typing import Any

_GPUS = {"T4": "16 GB", "L4": "24 GB", "A10G": "24 GB", "A100": "80 GB", "H200": "141 GB"}


def _machine(name: str, cpus: int, ram_gb: int, micro_usd: int, gpu: str | None = None, n: int = 0) -> dict[str, Any]:
    accelerator = gpu and {
        "type": "gpu",
        "model": gpu,
        "quantity": str(n),
        "vram": _GPUS[gpu],
        "manufacturer": "Nvidia",
    }
    return {
        "name": name,
        "prettyName": name.replace("-", " ").title(),
        "cpu": f"{cpus} vCPU",
        "ram": f"{ram_gb} GB",
        "ephemeralStorage": "50 GB",
        "accelerator": accelerator,
        "unitCostMicroUSD": micro_usd,
        "unitCostUSD": micro_usd / 1e6,
        "unitLabel": "minute",
    }


HARDWARE = {
    each["name"]: each
    for each in (
        _machine("cpu-basic", 2, 16, 167),
        _machine("cpu-upgrade", 8, 32, 500),
        _machine("t4-small", 4, 15, 6667, "T4", 1),
        _machine("t4-medium", 8, 30, 10000, "T4", 1),
        _machine("l4x1", 8, 30, 13333, "L4", 1),
        _machine("l4x4", 48, 186, 63333, "L4", 4),
        _machine("a10g-small", 4, 15, 16667, "A10G", 1),
        _machine("a10g-large", 12, 46, 25000, "A10G", 1),
        _machine("a10g-largex4", 48, 184, 83333, "A10G", 4),
        _machine("a100-large", 12, 142, 41667, "A100", 1),
        _machine("a100x4", 48, 568, 166667, "A100", 4),
        _machine("h200", 23, 256, 83333, "H200", 1),
        _machine("h200x8", 184, 2048, 666667, "H200", 8),
    )
}
