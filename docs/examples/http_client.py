"""Have a node assess files, with Python's own library alone.

``python http_client.py http://127.0.0.1:8042 study.dcm...``

A token, where the node wants one, stands in the environment's EDGE_SACRO_TOKEN.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

WAIT_S, ASKS = 10, 6
ENDED = {"sending", "delivered", "refused", "quarantined"}


def ask(url: str, data: bytes | None = None) -> dict[str, Any]:
    """One question to the node, or one file for it."""
    headers = {"Content-Type": "application/dicom"} if data is not None else {}
    if "EDGE_SACRO_TOKEN" in os.environ:
        headers["Authorization"] = f"Bearer {os.environ['EDGE_SACRO_TOKEN']}"
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - the node's address is the user's own
    with urllib.request.urlopen(request, timeout=WAIT_S + 20) as answer:  # noqa: S310
        found: dict[str, Any] = json.load(answer)
        return found


def assess(node: str, path: str) -> str:
    """Submit a file and ask for its result until there is one."""
    instance = ask(f"{node}/v1/instances?wait={WAIT_S}", Path(path).read_bytes())
    for _ in range(ASKS):
        if instance["state"] in ENDED:
            break
        instance = ask(f"{node}/v1/instances/{instance['sequence']}?wait={WAIT_S}")
    if instance["result"] is None:  # never a negative
        return f"no result: {instance['state']}: {instance['reason']}"
    result = instance["result"]
    boxes = [f"\n  the patient's {side} joint: {joint['box_px']}" for side, joint in result["joints"].items()]
    return f"{result['state']}: {result['reason']}{''.join(boxes)}"


def line(node: str, path: str) -> tuple[str, int]:
    """What to print of one file, and the exit code."""
    try:
        return assess(node, path), 0
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        return f"not taken: {problem['what']} [{problem['code']}] {problem['remedy']}", 1
    except (OSError, ValueError) as error:
        return f"the node does not answer: {error}", 1


def main(node: str, paths: list[str]) -> int:
    """Print a line for each file."""
    lines = [line(node, path) for path in paths]
    for path, (text, _) in zip(paths, lines, strict=True):
        print(f"{path}: {text}")
    return max(code for _, code in lines)


sys.exit(main(sys.argv[1], sys.argv[2:]))
