"""What to do about a rejected scan, by the reason that the ledger has."""

REMEDIES = {
    "not_an_image": "deliver it as JPEG, PNG, TIFF, BMP, WebP or DICOM, or take it out of the "
    "folder",
    "archive": "unpack it into the batch's folder, delete the archive and run the batch again",
    "unsupported_format": "deliver the scan as JPEG, PNG, TIFF, BMP, WebP or DICOM, as named above",
    "unsupported_compression": "export it uncompressed, or with LZW or Deflate",
    "mask": "nothing; if it is a scan, give it a name that no other file of the batch has",
    "icon": "take it out of the folder; if it is a scan, deliver it in its full size",
    "undecodable": "copy or export it again; its bytes are incomplete",
    "vanished": "put it back and run dental retry",
    "changed": "nothing: the next run takes it as it is now",
    "unreadable": "give yourself the right to read it, then run dental retry",
    "decoder_timeout": "run dental retry when the machine is idle, or raise `scan_seconds`",
    "decoder_crashed": "run dental retry after an update; else export the file again",
    "too_large": "raise `max_pixels` if it is a real scan, then run dental retry",
    "unsupported_transfer_syntax": "export it uncompressed, or run dental retry after an update",
    "taken_back": "run the batch again: the file is listed for another attempt",
    "forgotten": "delete the file; it was forgotten on request",
}


def remedy_for(reason: str) -> str:
    """Return what to do; the detail of a reason without a remedy of its own names the cause."""
    return REMEDIES.get(reason, "fix the cause named in the detail, then run dental retry")
