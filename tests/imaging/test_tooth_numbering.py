"""FDI numbers guessed from position: calibrated confidences, and no guess without evidence."""

import cv2
import numpy as np
import pytest

from benchmarks.tooth_numbering import guessed
from pipeline.imaging import tooth_finder, tooth_numbering
from pipeline.phantoms import draw_panoramic
from pipeline.phantoms.views import drawn


@pytest.fixture(scope="module")
def guesses():
    return [guess for seed in range(7, 19) for guess in guessed(seed)]  # training seeds: 1000 up


def guesses_for(pixels):
    picture, probabilities = tooth_finder.tooth_map(pixels)
    places = tooth_finder.tooth_centres(probabilities)
    return places, *tooth_numbering.guess_teeth(picture, probabilities, places)


def test_guesses_are_right_as_often_as_their_confidence_and_rarely_in_a_wrong_quadrant(guesses):
    made = [guess for guess in guesses if guess.tooth]
    right = np.mean([guess.tooth == guess.truth for guess in made])
    assert len(made) >= 0.4 * sum(guess.truth > 0 for guess in guesses)
    assert right >= np.mean([guess.confidence for guess in made])
    assert np.mean([guess.tooth // 10 == guess.truth // 10 for guess in made]) > 0.95


def test_a_guess_is_a_permanent_tooth_with_at_least_the_minimum_confidence(guesses):
    for guess in guesses:
        if guess.tooth:
            assert guess.tooth // 10 in (1, 2, 3, 4)
            assert guess.tooth % 10 in range(1, 9)
            assert tooth_numbering.MIN_CONFIDENCE <= guess.confidence <= 1
        else:
            assert guess.confidence == 0


@pytest.mark.parametrize("shape", [(1, 2), (8, 16), (700, 1400)])
def test_nothing_is_guessed_on_blank_images_and_noise(shape):
    noise = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    for pixels in (np.zeros(shape, np.uint8), noise):
        _, teeth, confidences = guesses_for(pixels)
        assert not teeth.any()
        assert not confidences.any()


def test_nothing_is_guessed_without_a_bite_line():
    phantom = drawn(draw_panoramic(7, 300))
    edentulous = cv2.GaussianBlur(phantom.pixels, (0, 0), 30)
    assert guesses_for(phantom.pixels)[1].any()
    assert not guesses_for(edentulous)[1].any()


def test_a_mirrored_image_gets_the_mirrored_fdi_numbers():
    pixels = drawn(draw_panoramic(8, 300)).pixels
    mirrored = {1: 2, 2: 1, 3: 4, 4: 3}
    places, teeth, _ = guesses_for(pixels)
    mirrored_places, others, _ = guesses_for(pixels[:, ::-1])
    agree = []
    for place, tooth in zip(places, teeth, strict=True):
        near = np.abs(mirrored_places - [1 - place[0], place[1]]).max(axis=1) < 0.01
        for other in others[near]:
            if tooth and other:
                agree.append(10 * mirrored[tooth // 10] + tooth % 10 == other)
    assert len(agree) >= 8
    assert np.mean(agree) > 0.9


def test_the_bite_line_is_between_upper_and_lower_teeth():
    for seed in range(7, 15):
        phantom = draw_panoramic(seed, 300)
        bite = tooth_numbering.find_bite(*tooth_finder.tooth_map(drawn(phantom).pixels))
        height, width = phantom.pixels.shape
        erupted = [tooth for tooth in phantom.teeth if tooth.label != "impacted"]
        for tooth in erupted:
            x, y = (tooth.x + tooth.w / 2) / width, (tooth.y + tooth.h / 2) / height
            assert (y < bite.at(x)) == (tooth.tooth < 30)


def test_the_stored_tooth_distances_match_phantoms():
    found = []
    for seed in range(20, 32):
        phantom = draw_panoramic(seed, 300)
        number = np.array([tooth.tooth for tooth in phantom.teeth])
        x = np.array([tooth.x + tooth.w / 2 for tooth in phantom.teeth]) / phantom.pixels.shape[1]
        side = np.where(np.isin(number // 10, (1, 4)), -1, 1)
        expected = side * tooth_numbering.DISTANCES[(number > 30).astype(int), number % 10 - 1]
        width, midline = np.polyfit(expected, x, 1)
        found.append(np.abs((x - midline) / width - expected))
    assert np.median(np.concatenate(found)) < 0.006
