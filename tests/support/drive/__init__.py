"""A local server that behaves as Google Drive's API does, for who is tested against it.

It knows the part of version 3 that reports need, and refuses what Drive refuses: parameters and fields that the
discovery document does not name, ids that were not given out, chunks of the wrong size, files of shared drives for
who does not ask for them. What it holds is gone with it.
"""

from tests.support.drive.errors import ApiError
from tests.support.drive.faults import OF_CHUNKS, Fault
from tests.support.drive.server import LocalDrive, drive_server
from tests.support.drive.tokens import DELEGATE, SERVICE, USER
from tests.support.drive.world import FOLDER, File

__all__ = [
    "DELEGATE",
    "FOLDER",
    "OF_CHUNKS",
    "SERVICE",
    "USER",
    "ApiError",
    "Fault",
    "File",
    "LocalDrive",
    "drive_server",
]
