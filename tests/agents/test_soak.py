"""Two real agents in the hands of a user who does anything at any time: nothing may be announced that did not happen.

`./dev bench soak` does the same for an hour.
"""

from __future__ import annotations

import json

import pytest

from support.soak import soak

SECONDS = 180.0
SEED = 7


@pytest.mark.long
def test_nothing_is_announced_that_did_not_happen() -> None:
    results, done = soak(SECONDS, SEED)
    for result in results:
        assert result.lies == [], "\n".join(json.dumps(line) for line in result.story)
    # It was worth it.
    assert sum(result.long_ones for result in results) > 0, done
    assert sum(result.announced for result in results) > 0, done
    assert sum(result.notified for result in results) > 0, done
