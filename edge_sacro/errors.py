"""Every error that Edge-Sacro raises. Each class has an exit code, a stable ``code`` and a remedy.

::

    EdgeSacroError                       1
    ├── UsageError                       2   an argument that cannot be meant
    ├── InputRefused                    10   one file cannot be assessed; the others go on
    │   ├── InputNotFound               11
    │   ├── NotDicom                    12
    │   ├── TruncatedFile               13
    │   ├── UnsupportedTransferSyntax   14
    │   ├── NoPixelData                 15
    │   ├── ColourImage                 16
    │   ├── UnsupportedModality         17
    │   ├── WrongBodyPart               18   may be overridden
    │   ├── WrongView                   19   may be overridden
    │   ├── MultiFrameImage             20
    │   ├── ContradictoryAttributes     21
    │   ├── MissingAttributes           22
    │   ├── SizeLimitExceeded           23
    │   ├── DecodeFailed                24
    │   ├── DecodeLimitExceeded         25
    │   ├── ForProcessingImage          26
    │   └── LossyLimitExceeded          27   may be overridden
    ├── BundleError                     30   no result can be had until the bundle is mended
    │   ├── BundleNotFound              31
    │   ├── BundleManifestInvalid       32
    │   ├── BundleFileCorrupt           33
    │   ├── BundleContractBroken        34
    │   ├── BundleNotTrusted            35   its signature is absent, another's or wrong
    │   └── BundleRolledBack            36   a site has seen a later one
    ├── BackendError                    40
    │   ├── BackendUnavailable          41
    │   ├── BackendFailed               42
    │   ├── EngineError                 43   a compiled network cannot be used
    │   │   ├── EngineStale             44   built from something else, or for something else
    │   │   ├── EngineNotQualified      45   its answers to the golden inputs are absent or wrong
    │   │   └── EngineBuildFailed       46
    │   └── Int8Inexact                 47   this processor cuts off the backend's INT8 sums
    ├── DeadlineExceeded                50
    ├── OutputNotWritten                60
    ├── InternalError                   70   a defect of ours
    ├── WorkshopError                   80   a model cannot be made or is not as good as it must be
    │   ├── GraphRefused                81   a graph is none that every backend takes
    │   ├── CalibrationRefused          82
    │   └── BudgetBroken                83   a measured difference is larger than allowed
    ├── NodeError                       90   the node cannot do its work
    │   ├── NodeConfigInvalid           91
    │   ├── StorageFailed               92   what it has acknowledged may be in danger: it stops
    │   ├── DiskFull                    93   it receives nothing more until there is room
    │   ├── QueueFull                   94   it receives nothing more until there is room
    │   └── PeerFailed                  95   another node did not take what was sent
    ├── BatchError                     100   a batch cannot go on; the same command continues it
    │   ├── BatchMismatch              101   its work folder holds the answers of something else
    │   └── BatchStopped               102   it was told to stop
    ├── KitError                       110   an offline kit cannot be made or used
    │   ├── KitNotTrusted              111   its signature is absent, another's or wrong
    │   ├── KitCorrupt                 112   a file of it is not what its manifest says
    │   ├── KitRolledBack              113   a later one was installed here
    │   └── KitNotInstalled            114   what served before serves on
    └── SelftestFailed                 115   the installation is not as it was accepted

Exit code 3 is no error: ``edge-sacro infer`` ends with it when every file was read and one was not assessable.
"""

from __future__ import annotations

from typing import ClassVar


class EdgeSacroError(Exception):
    """Base of the tree.

    Args:
        what: what happened, in one sentence, with the values that show it.
        source: the file, tensor or option that it happened to.
        remedy: how to mend it, where this case has a better answer than its class.
    """

    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "error"
    default_remedy: ClassVar[str] = "Report it with the command and the file's transfer syntax."

    def __init__(self, what: str, *, source: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.source = source
        self.remedy = remedy or self.default_remedy

    def __str__(self) -> str:
        where = f"{self.source}: " if self.source else ""
        return f"{where}{self.what} [{self.code}] {self.remedy}"

    def with_source(self, source: str) -> EdgeSacroError:
        """Return the same error, told of another place."""
        return type(self)(self.what, source=source, remedy=self.remedy)


class UsageError(EdgeSacroError):
    """An argument of a command or of the API cannot be meant."""

    exit_code = 2
    code = "usage"
    default_remedy = "See the command's --help."


class InputRefused(EdgeSacroError):
    """One input cannot be assessed. Other inputs of the same call are not touched by it."""

    exit_code = 10
    code = "input_refused"
    default_remedy = "Send the original radiograph from the modality."
    overridable: ClassVar[bool] = False


class InputNotFound(InputRefused):
    """The path does not exist or may not be read."""

    exit_code = 11
    code = "input_not_found"
    default_remedy = "Check the path and its permissions."


class NotDicom(InputRefused):
    """The bytes are not a DICOM Part 10 file."""

    exit_code = 12
    code = "not_dicom"
    default_remedy = "Send a DICOM file; pictures exported as PNG or JPEG carry no spacing and no orientation."


class TruncatedFile(InputRefused):
    """The file or its codestream ends before its end marker."""

    exit_code = 13
    code = "truncated"
    default_remedy = "Transfer the file again; compare its size with the sender's."


class UnsupportedTransferSyntax(InputRefused):
    """No decoder is pinned for this transfer syntax."""

    exit_code = 14
    code = "unsupported_transfer_syntax"
    default_remedy = (
        "Ask the sender for a transfer syntax listed in docs/dicom-input.md, such as Explicit VR Little Endian."
    )


class NoPixelData(InputRefused):
    """The object holds no image: a report, a presentation state, a directory."""

    exit_code = 15
    code = "no_pixels"
    default_remedy = "Send the image object itself."


class ColourImage(InputRefused):
    """The image is RGB, YBR or palette colour: a screen capture or a photograph, not a radiograph."""

    exit_code = 16
    code = "colour"
    default_remedy = "Send the original grayscale radiograph, not a capture of a screen."


class UnsupportedModality(InputRefused):
    """The modality is none that the bundle's system was published for."""

    exit_code = 17
    code = "wrong_modality"
    default_remedy = "Send what the bundle's system reads, or choose a bundle for this modality."


class WrongBodyPart(InputRefused):
    """The header says that the image shows another body part."""

    exit_code = 18
    code = "wrong_body_part"
    default_remedy = "If the header is wrong, repeat with --override wrong_body_part: the report then says so."
    overridable = True


class WrongView(InputRefused):
    """The header says that the view is not an anteroposterior or posteroanterior one."""

    exit_code = 19
    code = "wrong_view"
    default_remedy = "If the header is wrong, repeat with --override wrong_view: the report then says so."
    overridable = True


class MultiFrameImage(InputRefused):
    """The object holds several frames and is not CT."""

    exit_code = 20
    code = "multi_frame"
    default_remedy = "Send the radiograph as a single-frame object."


class ContradictoryAttributes(InputRefused):
    """Attributes of the header exclude one another, so that no reading of the pixels can be trusted."""

    exit_code = 21
    code = "contradictory_attributes"
    default_remedy = "Have the sender correct the named attributes."


class MissingAttributes(InputRefused):
    """An attribute without which the pixels have no meaning is absent or empty."""

    exit_code = 22
    code = "missing_attributes"
    default_remedy = "Have the sender supply the named attributes."


class SizeLimitExceeded(InputRefused):
    """The file or the image is larger or smaller than any radiograph that this system reads."""

    exit_code = 23
    code = "size_limit"
    default_remedy = "Send a radiograph of 256 to 8192 rows and columns."


class DecodeFailed(InputRefused):
    """The pinned decoder refused the codestream, or failed on it."""

    exit_code = 24
    code = "decode_failed"
    default_remedy = "Transfer the file again; if it fails again, ask the sender for an uncompressed copy."


class DecodeLimitExceeded(InputRefused):
    """Decoding passed its memory, processor-time or wall-clock limit and was ended."""

    exit_code = 25
    code = "decode_limit"
    default_remedy = "Treat the file as damaged or hostile; ask the sender for an uncompressed copy."


class ForProcessingImage(InputRefused):
    """The object holds raw detector data, which no published system was trained on."""

    exit_code = 26
    code = "for_processing"
    default_remedy = "Send the FOR PRESENTATION object of the same exposure."


class LossyLimitExceeded(InputRefused):
    """The image was compressed with loss beyond the limit."""

    exit_code = 27
    code = "lossy_limit"
    default_remedy = "Send the lossless original, or repeat with --override lossy_limit: the report then says so."
    overridable = True


class BundleError(EdgeSacroError):
    """The model bundle cannot be used, so no input can be assessed."""

    exit_code = 30
    code = "bundle"
    default_remedy = "Install the bundle again from its source."


class BundleNotFound(BundleError):
    """There is no bundle at this path."""

    exit_code = 31
    code = "bundle_not_found"
    default_remedy = "Give --bundle a folder or a zip file that holds manifest.json."


class BundleManifestInvalid(BundleError):
    """The manifest is not what its schema says: a key unknown, missing or out of range."""

    exit_code = 32
    code = "bundle_manifest_invalid"
    default_remedy = "Build the bundle again with the version of the workshop that fits this runtime."


class BundleFileCorrupt(BundleError):
    """A file of the bundle is absent, unlisted, or differs from its hash."""

    exit_code = 33
    code = "bundle_file_corrupt"


class BundleContractBroken(BundleError):
    """A network's names, shapes, types or classes are not those that the system's contract states."""

    exit_code = 34
    code = "bundle_contract_broken"
    default_remedy = "Export the network again with the contract of the system that the manifest names."


class BundleNotTrusted(BundleError):
    """The signature of the bundle is absent, of another key than the one pinned here, or wrong."""

    exit_code = 35
    code = "bundle_not_trusted"
    default_remedy = (
        "Get the bundle from its maker again, or pin the maker's key, checked on another way, with --trust."
    )


class BundleRolledBack(BundleError):
    """The bundle's sequence number is lower than one that this site has accepted."""

    exit_code = 36
    code = "bundle_rolled_back"
    default_remedy = (
        "Install the latest bundle; to go back on purpose, have its maker release it with a higher sequence."
    )


class BackendError(EdgeSacroError):
    """The inference backend cannot be used, so no input can be assessed."""

    exit_code = 40
    code = "backend"


class BackendUnavailable(BackendError):
    """The backend asked for is not installed or unknown here. No other one takes its place."""

    exit_code = 41
    code = "backend_unavailable"
    default_remedy = "Install the backend's extra, or name another backend."


class BackendFailed(BackendError):
    """The backend refused the network or failed while it ran."""

    exit_code = 42
    code = "backend_failed"
    default_remedy = "Check the bundle with the null backend; report the vendor's message."


class Int8Inexact(BackendError):
    """The backend's INT8 sums are cut off on this processor, so that INT8 networks would answer something else."""

    exit_code = 47
    code = "int8_inexact"
    default_remedy = "Use --precision fp32 or fp16 on this processor."


class EngineError(BackendError):
    """A compiled network cannot be used."""

    exit_code = 43
    code = "engine"
    default_remedy = "Build it again: edge-sacro engine build --help."


class EngineStale(EngineError):
    """The engine was built from another network, by another builder, with other flags or for another device."""

    exit_code = 44
    code = "engine_stale"


class EngineNotQualified(EngineError):
    """The engine has not answered the golden inputs as the reference does, so it may not serve."""

    exit_code = 45
    code = "engine_not_qualified"
    default_remedy = "Run edge-sacro engine qualify; if it fails, keep the backend that served so far."


class EngineBuildFailed(EngineError):
    """The builder refused the network or ended without an engine."""

    exit_code = 46
    code = "engine_build_failed"
    default_remedy = "Read the builder's message; a smaller precision or another device profile may build."


class DeadlineExceeded(EdgeSacroError):
    """The assessment did not end before its deadline; no part of a result is given."""

    exit_code = 50
    code = "deadline_exceeded"
    default_remedy = "Raise the deadline, or use more threads or a faster backend."


class OutputNotWritten(EdgeSacroError):
    """A result could not be written where it was asked for."""

    exit_code = 60
    code = "output_not_written"
    default_remedy = "Check that the folder exists, may be written and has space."


class InternalError(EdgeSacroError):
    """A defect of ours: an error that no table maps."""

    exit_code = 70
    code = "internal"


class WorkshopError(EdgeSacroError):
    """A model cannot be made, or is not as good as it must be."""

    exit_code = 80
    code = "workshop"
    default_remedy = "See the command's --help."


class GraphRefused(WorkshopError):
    """A graph is none that every backend takes, or differs from the framework's own answer."""

    exit_code = 81
    code = "graph_refused"
    default_remedy = "Export it again as docs/export.md says."


class CalibrationRefused(WorkshopError):
    """The images are too few or cannot be read, so that ranges would be guesses."""

    exit_code = 82
    code = "calibration_refused"
    default_remedy = "Give more images that the runtime accepts, or ask for fewer by --count."


class BudgetBroken(WorkshopError):
    """A measured difference is larger than its budget."""

    exit_code = 83
    code = "budget_broken"
    default_remedy = "Read the report that names the place; nothing was put into service."


class NodeError(EdgeSacroError):
    """The node cannot do its work."""

    exit_code = 90
    code = "node"
    default_remedy = "See docs/node.md."


class NodeConfigInvalid(NodeError):
    """The node's configuration is not what its schema says, or names what does not exist."""

    exit_code = 91
    code = "node_config_invalid"
    default_remedy = "Correct the named key and try again with edge-sacro serve --check."


class StorageFailed(NodeError):
    """The disk failed, so that nothing more may be acknowledged; the node stops."""

    exit_code = 92
    code = "storage_failed"
    default_remedy = "Check the disk, then start the node again: it goes on from what is on the disk."


class DiskFull(NodeError):
    """There is no room for what was sent; nothing of it was kept, and nothing was acknowledged."""

    exit_code = 93
    code = "disk_full"
    default_remedy = "Make room on the node's disk; the sender may send again at any time."


class QueueFull(NodeError):
    """More instances wait than the node may hold; nothing of this one was kept."""

    exit_code = 94
    code = "queue_full"
    default_remedy = "Send again later; raise limits.queue if the machine keeps up."


class PeerFailed(NodeError):
    """Another node could not be reached or did not take what was sent."""

    exit_code = 95
    code = "peer_failed"
    default_remedy = "Check the peer's address, AE title and certificates."


class BatchError(EdgeSacroError):
    """A batch cannot go on. What was answered is kept, and the same command continues it."""

    exit_code = 100
    code = "batch"
    default_remedy = "Mend what the message names, then give the same command again: it goes on where it stopped."


class BatchMismatch(BatchError):
    """The work folder, or a worker, has another bundle, operating point, precision or version: nothing is mixed."""

    exit_code = 101
    code = "batch_mismatch"
    default_remedy = "Name another work folder with --work, or give the options that this one was begun with."


class BatchStopped(BatchError):
    """The batch was told to stop before its end."""

    exit_code = 102
    code = "batch_stopped"
    default_remedy = "Give the same command again: it goes on where it stopped."


class KitError(EdgeSacroError):
    """An offline kit cannot be made or used."""

    exit_code = 110
    code = "kit"
    default_remedy = "See docs/kit.md."


class KitNotTrusted(KitError):
    """The signature of the kit is absent, of another key than the one given, or wrong; nothing of it was run."""

    exit_code = 111
    code = "kit_not_trusted"
    default_remedy = "Get the kit from its maker again, and the maker's key on another way than the kit."


class KitCorrupt(KitError):
    """The kit holds what its manifest does not list, lacks what it lists, or a file differs from its hash."""

    exit_code = 112
    code = "kit_corrupt"
    default_remedy = "Copy the kit again, and compare its SHA-256 with its maker's."


class KitRolledBack(KitError):
    """The kit is older than one that was installed here."""

    exit_code = 113
    code = "kit_rolled_back"
    default_remedy = "Install the latest kit; to go back on purpose, use kit rollback or --allow-downgrade."


class KitNotInstalled(KitError):
    """The kit is what it says and could not be installed; what served before serves on."""

    exit_code = 114
    code = "kit_not_installed"
    default_remedy = "Read the message of the step that failed, mend it, and install again."


class SelftestFailed(EdgeSacroError):
    """A check of the selftest failed: this installation does not answer as it was accepted."""

    exit_code = 115
    code = "selftest_failed"
    default_remedy = "Take it out of service, and read the report's failed checks."


def all_errors() -> list[type[EdgeSacroError]]:
    """Every class of the tree, base first, in the order of their exit codes."""
    found: list[type[EdgeSacroError]] = [EdgeSacroError]
    for error in found:
        found.extend(error.__subclasses__())
    return sorted(found, key=lambda error: error.exit_code)


def exit_code_from_code(code: str) -> int:
    """The exit code of the class that has this code.

    Raises:
        KeyError: no class has it.
    """
    return {error.code: error.exit_code for error in all_errors()}[code]
