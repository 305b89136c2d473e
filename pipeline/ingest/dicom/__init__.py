"""DICOM objects: recognised, decoded, and asked who they show."""

import logging

import pydicom  # noqa: F401  sets the level of its log when it is imported

# pydicom warns of whatever it logs; its log goes to the terminal and may quote elements.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
