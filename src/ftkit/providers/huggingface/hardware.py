"""What the machine can do, and what is put in place of what it cannot. Nothing is replaced in silence."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ftkit.errors import ConfigurationError

if TYPE_CHECKING:
    from ftkit.providers.huggingface.options import LocalOptions, Quantization

Device = Literal["cuda", "mps", "cpu"]
_NEEDS_BITSANDBYTES = {"adamw_bnb_8bit", "paged_adamw_8bit"}
_TF32_SINCE = 8  # the compute capability of Ampere


@dataclass(frozen=True, slots=True)
class Machine:
    """What the machine can do.

    Attributes:
        device: What computes.
        gpus: How many NVIDIA GPUs there are.
        bf16: Whether it has bfloat16.
        tf32: Whether it has TF32.
        bitsandbytes: Whether the package is installed.
        flash_attention: Whether the package is installed.
    """

    device: Device
    gpus: int = 0
    bf16: bool = False
    tf32: bool = False
    bitsandbytes: bool = False
    flash_attention: bool = False


@dataclass(frozen=True, slots=True)
class Fitted:
    """The settings that will be used. See `LocalOptions`.

    Attributes:
        device: What computes.
        fsdp: Whether the model is spread over processes.
        replaced: What was put in place of what was asked for, each with the reason.
    """

    device: Device
    precision: Literal["fp32", "bf16", "fp16"]
    quantization: Quantization | None
    attention: Literal["sdpa", "flash_attention_2", "eager"]
    gradient_checkpointing: bool
    tf32: bool
    optim: str
    fsdp: bool
    replaced: tuple[str, ...]


def this_machine() -> Machine:
    """Looks at the machine. Loads torch."""
    import torch

    packages = {
        "bitsandbytes": importlib.util.find_spec("bitsandbytes") is not None,
        "flash_attention": importlib.util.find_spec("flash_attn") is not None,
    }
    if torch.cuda.is_available():
        capability: int = torch.cuda.get_device_capability()[0]
        return Machine(
            "cuda",
            torch.cuda.device_count(),
            bf16=torch.cuda.is_bf16_supported(),
            tf32=capability >= _TF32_SINCE,
            **packages,
        )
    if torch.backends.mps.is_available():
        return Machine("mps", **packages)
    return Machine("cpu", **packages)


def fit(asked: LocalOptions, machine: Machine, here: int | None = None) -> Fitted:
    """Decides on the settings for a machine.

    Args:
        asked: What was asked for.
        machine: The machine.
        here: How many of the processes are on it; all of them where None.

    Raises:
        ConfigurationError: There are fewer GPUs than processes.
    """
    replaced: list[str] = []
    gpu = machine.device == "cuda"
    processes = asked.processes or 1
    here = here or processes
    if gpu and here > max(1, machine.gpus):
        message = f"{here} processes need a GPU each, and {machine.gpus} can be seen"
        raise ConfigurationError(message, hint="Ask for fewer processes, or see what CUDA_VISIBLE_DEVICES says.")
    if processes > 1 and machine.device == "mps":
        replaced.append("device mps -> cpu: several processes cannot share it")
        machine = Machine("cpu")

    def instead(setting: str, wanted: object, used: object, why: str) -> None:
        replaced.append(f"{setting} {wanted} -> {used}: {why}")

    quantization = asked.quantization
    if quantization and not (gpu and machine.bitsandbytes):
        why = "the package bitsandbytes is not installed" if gpu else "bitsandbytes needs an NVIDIA GPU"
        instead("quantization", quantization, "none", why)
        quantization = None
    attention = "sdpa" if asked.attention is None or asked.attention == "auto" else asked.attention
    if attention == "flash_attention_2" and not (gpu and machine.flash_attention):
        why = "the package flash-attn is not installed" if gpu else "flash-attn needs an NVIDIA GPU"
        instead("attention", attention, "sdpa", why)
        attention = "sdpa"
    checkpointing = gpu if asked.gradient_checkpointing is None else asked.gradient_checkpointing
    tf32 = machine.tf32 if asked.tf32 is None else asked.tf32
    if tf32 and not machine.tf32:
        instead("tf32", "true", "false", "it needs an NVIDIA GPU of 2020 or later")
        tf32 = False
    optim = asked.optim or "adamw_torch"
    if optim in _NEEDS_BITSANDBYTES and not (gpu and machine.bitsandbytes):
        instead("optim", optim, "adamw_torch", "it needs an NVIDIA GPU and the package bitsandbytes")
        optim = "adamw_torch"
    fsdp = bool(asked.fsdp)
    if fsdp and not gpu:
        instead("fsdp", "true", "false", "it needs NVIDIA GPUs; each process holds all of the model")
        fsdp = False
    precision, why_not = _precision(asked, machine)
    if why_not:
        instead("precision", asked.precision, precision, why_not)
    return Fitted(
        device=machine.device,
        precision=precision,
        quantization=quantization,
        attention=attention,
        gradient_checkpointing=checkpointing,
        tf32=tf32,
        optim=optim,
        fsdp=fsdp,
        replaced=tuple(replaced),
    )


def _precision(asked: LocalOptions, machine: Machine) -> tuple[Literal["fp32", "bf16", "fp16"], str | None]:
    """Returns the precision in use, and why it is not the one that was asked for."""
    wanted = asked.precision or "auto"
    if wanted == "auto":
        return ("bf16" if machine.bf16 else "fp32"), None
    if wanted == "bf16" and not machine.bf16:
        return "fp32", "this device has no fast bfloat16"
    if wanted == "fp16" and machine.device != "cuda":
        return "fp32", "half precision needs an NVIDIA GPU"
    return wanted, None
