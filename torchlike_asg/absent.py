"""Public names of PyTorch's modules that this package does not have, and what to use instead: asking for one says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import Unsupported

__all__ = ["ABSENT", "asked"]

_CUDA = "there is no CUDA here: ask torch.cuda.is_available() first; the GPU of this package is the device 'wgpu'"
_GUARDS = "nothing is guarded: graphs are recorded and compiled as they come, and torchlike_asg.asg.stats() counts the plans"
_POLICY = "a leaf's gradient is laid out as the leaf is"

#: module -> pairs (names, what to use instead)
ABSENT: dict[str, tuple[tuple[str, str], ...]] = {
    "nn.parameter": (("UninitializedTensorMixin", "use UninitializedParameter or UninitializedBuffer"),),
    "nn.attention": (
        (
            "WARN_FOR_UNFUSED_KERNELS activate_flash_attention_impl current_flash_attention_impl list_flash_attention_impls "
            "register_flash_attention_impl restore_flash_attention_impl",
            "attention has one implementation for each device, which scaled_dot_product_attention picks",
        ),
    ),
    "distributions.constraints": (("MixtureSameFamilyConstraint", "use the support of the mixture's components"),),
    "autograd": (("NestedIOFunction", "use torch.autograd.Function"), ("enforce_grad_layout_policy", _POLICY)),
    "autograd.grad_mode": (("enforce_grad_layout_policy", _POLICY),),
    "autograd.graph": (
        ("region_activation_memory_budget", "use torch.utils.checkpoint"),
        ("set_override_stale_capture_stream set_warn_on_accumulate_grad_stream_mismatch", "there are no streams: everything runs in order"),
    ),
    "autograd.profiler": (
        ("EnforceUnique KinetoStepTracker MemRecordsAcc load_nvprof parse_nvprof_trace", "use torch.profiler.profile and its events()"),
    ),
    "func": (("debug_unwrap", "print the tensor inside the function: it shows its shape and type"),),
    "utils": (
        ("ThroughputBenchmark", "use torch.utils.benchmark.Timer"),
        ("generate_methods_for_privateuse1_backend rename_privateuse1_backend", "devices are 'cpu' and 'wgpu': others cannot be added"),
        ("get_cpp_backtrace", "everything is Python: use traceback"),
    ),
    "utils.data": (
        (
            "argument_validation guaranteed_datapipes_determinism non_deterministic runtime_validation runtime_validation_disabled",
            "write a Dataset or an IterableDataset instead of a data pipe",
        ),
    ),
    "utils.checkpoint": (
        ("CheckpointFunction", "use checkpoint"),
        ("GraphExecGroup SAC_IGNORED_OPS SelectiveCheckpointContext", "use checkpoint on the parts that are to be computed again"),
    ),
    "utils.dlpack": (("DLDeviceType", "use the device of the tensor"),),
    "utils.benchmark": (
        (
            "CallgrindStats CopyIfCallgrind FunctionCount FunctionCounts Colorize ordered_unique set_torch_threads unit_to_english",
            "use Timer, Measurement and Compare",
        ),
        ("FuzzedParameter FuzzedSparseTensor FuzzedTensor Fuzzer ParameterAlias", "draw shapes by hypothesis or random"),
    ),
    "serialization": (
        (
            "StorageType check_module_version_greater_or_equal default_restore_location mkdtemp normalize_storage_type register_package "
            "storage_to_tensor_type validate_cuda_device validate_hpu_device",
            "pass map_location to torch.load",
        ),
        ("get_crc32_options set_crc32_options", "files always have checksums"),
        ("get_default_mmap_options set_default_mmap_options", "pass mmap=True to torch.load"),
        ("set_default_load_endianness", "files say how their bytes are ordered"),
    ),
    "overrides": (
        (
            "enable_reentrant_dispatch get_overridable_functions get_testing_overrides redispatch_function resolve_name",
            "derive a class with __torch_function__, which is asked by every public function",
        ),
    ),
    "cuda": (
        (
            "BFloat16Storage BoolStorage ByteStorage CUDAPluggableAllocator CharStorage ComplexDoubleStorage ComplexFloatStorage CudaError "
            "DeferredCudaCallError DoubleStorage ExternalStream FloatStorage GreenContext HalfStorage IntStorage LongStorage MemPool "
            "ShortStorage caching_allocator_alloc caching_allocator_delete caching_allocator_disabled caching_allocator_enable "
            "change_current_allocator check_error cudaStatus cudart current_blas_handle current_solver_handle default_generators "
            "device_memory_used get_allocator_backend get_gencode_flags get_per_process_memory_fraction get_stream_from_external "
            "get_sync_debug_mode graph_pool_handle graphs has_half has_magma host_memory_stats host_memory_stats_as_nested_dict jiterator "
            "list_gpu_processes make_graphed_callables memory memory_snapshot memory_stats_as_nested_dict nccl profiler "
            "reset_accumulated_host_memory_stats reset_peak_host_memory_stats set_sync_debug_mode sparse streams tunable use_mem_pool",
            _CUDA,
        ),
    ),
    "cuda.amp": (("amp_definitely_not_available", "ask torch.amp.is_autocast_available"),),
    "cpu": (("get_capabilities", "torch.backends.cpu.get_cpu_capability() names the vectors"),),
    "accelerator": (("Graph set_stream", "every step is one compiled program already; there are no streams"),),
    "backends": (("miopen python_native", "the CPU's and wgpu's kernels are this package's own"),),
    "backends.cuda": (
        (
            "SDPAParams allow_fp16_bf16_reduction_math_sdp blas_workspace_size can_use_cudnn_attention can_use_efficient_attention "
            "can_use_flash_attention cuBLASModule cuFFTPlanCache cuFFTPlanCacheAttrContextProp cuFFTPlanCacheManager "
            "cublas_workspace_size cublaslt_workspace_size fp16_bf16_reduction_math_sdp_allowed is_ck_sdpa_available "
            "is_flash_attention_available preferred_rocm_fa_library",
            _CUDA,
        ),
    ),
    "backends.mps": (("get_core_count get_name", "there is no MPS backend: the device 'wgpu' uses Metal"),),
    "backends.mkl": (("verbose", "MKL is not used: use torch.profiler.profile"),),
    "jit": (("Future", "use torch.futures.Future"), ("export_opnames", "torchlike_asg.asg.explain(model, input) lists the operations")),
    "profiler": (
        ("DeviceType", "compare the name of a tensor's device"),
        ("ExecutionTraceObserver", "use profile and export_chrome_trace"),
    ),
    "testing": (("FileCheck", "compare text by re or in"),),
    "compiler": (
        (
            "config get_default_backend keep_portable_guards_unsafe keep_tensor_guards_unsafe set_default_backend "
            "set_enable_guard_collectives skip_all_guards_unsafe skip_guard_on_all_nn_modules_unsafe skip_guard_on_globals_unsafe "
            "skip_guard_on_inbuilt_nn_modules_unsafe substitute_in_graph wrap_numpy",
            _GUARDS,
        ),
        (
            "load_cache_artifacts load_compiled_function save_cache_artifacts",
            "compiled code is kept on disk: TORCHLIKE_ASG_CACHE says where",
        ),
    ),
    "onnx": (("ExportableModule InputObserver ONNXProgram OnnxExporterError errors ops", "torch.onnx.export says what to use"),),
}


def asked(module: str) -> Callable[[str], Any]:
    """A module's ``__getattr__``: Unsupported with advice for a name of its table, AttributeError for all others."""
    advice = {name: text for names, text in ABSENT[module.partition(".")[2]] for name in names.split()}

    def absent(name: str) -> Any:
        if name in advice:
            raise Unsupported(f"{module}.{name} is not supported: {advice[name]}")
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return absent
