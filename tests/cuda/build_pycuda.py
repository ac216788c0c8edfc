"""Build pycuda where there is no CUDA toolkit and no driver, for ``test_pycuda.py``.

``python -m tests.cuda.build_pycuda FOLDER`` takes two to five minutes, once; then set EDGE_SACRO_PYCUDA to FOLDER.
pycuda has no wheels. CUDA's headers come from NVIDIA's own, and a library of one symbol stands for the driver.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

PYCUDA = "pycuda==2026.1"
NEEDS = ("mako", "pytools", "platformdirs", "siphash24")
HEADERS = ("nvidia-cuda-runtime==13.0.88", "nvidia-cuda-crt==13.0.88", "nvidia-cuda-profiler-api==13.0.85")


def build(folder: Path) -> None:
    """Install pycuda and what it needs into a folder of their own."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        _pip("install", "--no-deps", "--target", str(work / "cuda"), *HEADERS)
        (work / "driver.c").write_text("int cuInit(void) { return 801; }\n")
        library = ["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", str(work / "libcuda.so")]
        subprocess.run(["gcc", *library, str(work / "driver.c")], check=True)
        settings = {
            "CUDA_ROOT": str(work / "cuda" / "nvidia" / "cu13"),
            "CUDADRV_LIB_DIR": [str(work)],
            "CUDA_ENABLE_CURAND": False,
        }
        lines = [f"{name} = {value!r}\n" for name, value in settings.items()]
        (work / ".aksetup-defaults.py").write_text("".join(lines))
        _pip("wheel", "--no-deps", "--wheel-dir", str(work), PYCUDA, home=work)
        (wheel,) = work.glob("pycuda-*.whl")
        _pip("install", "--target", str(folder), str(wheel), *NEEDS)


def _pip(*arguments: str, home: Path | None = None) -> None:
    environment = {**os.environ, **({"HOME": str(home)} if home else {})}
    subprocess.run([sys.executable, "-m", "pip", *arguments], check=True, env=environment)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
