"""Perceptual hashes are similar for one film exported twice and differ for other films."""

import cv2
import numpy as np
import pytest

from pipeline.imaging.frame import Frame
from pipeline.imaging.perceptual_hash import centre_hashes, perceptual_hash
from pipeline.imaging.thumbnail import thumbnail, whole_thumbnail
from tests.builders.scans import scan


def bits(pixels):
    return int(perceptual_hash(thumbnail(Frame(pixels))), 16)


def distance(one, other):
    return (bits(one) ^ bits(other)).bit_count()


def film(seed=1):
    """A picture of 480 × 960 pixels without its own border."""
    return cv2.resize(scan(60, 120, seed), (960, 480), interpolation=cv2.INTER_CUBIC)


EXPORTS = {
    "as a poor JPEG": lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [1, 20])[1], 0),
    "at half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5),
    "darker": lambda p: (p * 0.6).astype(np.uint8),
    "with another gamma": lambda p: (255 * (p / 255) ** 1.8).astype(np.uint8),
    "with a black border": lambda p: cv2.copyMakeBorder(p, 12, 12, 12, 12, 0, value=0),
}


@pytest.mark.parametrize("export", EXPORTS)
def test_a_film_exported_again_differs_in_few_bits(export):
    assert distance(film(), EXPORTS[export](film())) <= 4


def test_another_film_differs_in_many_bits_and_so_does_a_mirrored_one():
    assert distance(film(1), film(2)) > 16
    assert distance(film(1), film(1)[:, ::-1]) > 16


def test_the_bits_are_those_of_imagehash():
    import imagehash
    from PIL import Image

    small = thumbnail(Frame(film()))
    square = cv2.resize(cv2.equalizeHist(small), (32, 32), interpolation=cv2.INTER_AREA)
    theirs = imagehash.phash(Image.fromarray(square))
    # imagehash leaves its cosines unscaled, which moves the median between two of them.
    assert (bits(film()) ^ int(str(theirs), 16)).bit_count() <= 2


def turned(pixels, degrees, grown=False):
    height, width = pixels.shape
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), degrees, 1)
    size = width, height
    if grown:
        cosine, sine = abs(turn[0, 0]), abs(turn[0, 1])
        size = round(width * cosine + height * sine), round(width * sine + height * cosine)
        turn[:, 2] += [(size[0] - width) / 2, (size[1] - height) / 2]
    return cv2.warpAffine(pixels, turn, size)


def centres_apart(one, other):
    one, other = (centre_hashes(whole_thumbnail(Frame(each))) for each in (one, other))
    return min((view ^ other[0]).bit_count() for view in one)


@pytest.mark.parametrize("degrees", [0, -15, -7.5, 3, 15])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("grown", [False, True])
def test_a_film_mirrored_or_turned_is_found(degrees, mirrored, grown):
    source = film()
    copy = turned(np.ascontiguousarray(source[:, ::-1]) if mirrored else source, degrees, grown)
    assert min(centres_apart(source, copy), centres_apart(copy, source)) <= 6


def test_the_centres_of_other_films_differ_in_many_bits_in_every_view():
    films = [film(seed) for seed in range(12)]
    apart = [centres_apart(a, b) for place, a in enumerate(films) for b in films[:place]]
    assert min(apart) >= 8


def test_a_centre_of_one_tone_has_no_hashes():
    framed = np.full((400, 800), 128, np.uint8)
    framed[:40] = 7
    assert centre_hashes(whole_thumbnail(Frame(framed))) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (300, 300), (2000, 700)])
def test_every_shape_has_a_thumbnail_of_at_most_256_pixels(shape):
    small = thumbnail(Frame(np.full(shape, 128, np.uint8)))
    assert max(small.shape) <= 256
    assert min(small.shape) >= 1
    assert (small == 128).all()
