"""Compiled functions where nothing compiled can be kept."""

from __future__ import annotations

import numba

from mmpl.radiomics.compiling import compiled


def test_without_a_folder_for_compiled_code_it_is_compiled_each_time(monkeypatch):
    njit, asked = numba.njit, []

    def nowhere_to_cache(*functions, cache=False, **options):
        if functions:  # numba's own
            return njit(*functions, cache=cache, **options)
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function 'twice': no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", nowhere_to_cache)

    @compiled
    def twice(x):
        return 2 * x

    assert twice(21) == 42
    assert asked == [True, False]
    assert hasattr(twice, "py_func")  # machine code, not the function itself
