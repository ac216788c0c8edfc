"""Assess files in this Python process: ``python runtime.py study.dcm...``."""

import sys

from edge_sacro import Runtime


def main(paths: list[str]) -> None:
    """Print what the demonstration answers."""
    with Runtime("demonstration", threads=2, deadline_s=10.0) as runtime:
        for path, source in zip(paths, runtime.read_ahead(paths), strict=True):
            result = runtime.infer(source)
            print(f"{path}: {result.state.value}: {result.reason}")
            if result.probability is not None:
                print(f"  probability {result.probability:.4f}")
            for side, joint in (("left", result.joints.left), ("right", result.joints.right)):
                if joint.box_px is not None:
                    print(f"  the patient's {side} joint: {joint.box_px}")
        print(runtime.bundle.manifest.statement)


main(sys.argv[1:])
