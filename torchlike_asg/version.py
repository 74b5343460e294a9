"""The version of the package; setup.cfg reads it from this file's text, without importing anything."""

__version__ = "0.1.0"
#: the PyTorch release whose API, results and random numbers are the reference
API_VERSION = "2.13.0"
#: the torchvision release that belongs to it
VISION_API_VERSION = "0.28.0"
#: what PyTorch was built for: nothing but the CPU
cuda = hip = rocm = xpu = None
debug = False
