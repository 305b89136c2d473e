"""DICOM objects: recognised, decoded, and asked who they show."""

import logging

# pydicom warns of whatever it logs; its log goes to the terminal and may quote elements.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
