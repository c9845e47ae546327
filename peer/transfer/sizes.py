"""Byte counts as people read them (floor 0); `formatBytes` of the page follows the same rules."""

from __future__ import annotations

__all__ = ["format_size"]

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def format_size(count: int) -> str:
    """Write a number of bytes in decimal units: `999 B`, `1.4 kB`, `64 MB`.

    Units are powers of 1000, as disks, networks and file managers count. One decimal stands below
    100 and is left out when it is 0; halves are rounded up.
    """
    power = 0
    while power < len(_UNITS) - 1 and 2 * count >= 1999 * 1000**power:
        power += 1  # 999.5 would be written as 1000 of the smaller unit
    unit = 1000**power
    tenths = (20 * count + unit) // (2 * unit)
    if tenths >= 1000 or tenths % 10 == 0:
        return f"{(2 * count + unit) // (2 * unit)} {_UNITS[power]}"
    return f"{tenths // 10}.{tenths % 10} {_UNITS[power]}"
