"""DICOM objects are recognised without pydicom, which knows what the standard has."""

from pydicom.valuerep import STANDARD_VR

from pipeline.ingest.dicom_start import VRS


def test_the_value_representations_are_those_of_pydicom():
    assert {str(each).encode() for each in STANDARD_VR} == VRS
