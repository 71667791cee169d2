"""How long something takes, for people."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """About so many seconds, minutes or hours."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
