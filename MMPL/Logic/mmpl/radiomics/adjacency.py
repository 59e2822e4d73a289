"""Which gray levels lie beside each other: the counts that all texture families are made of.

One pass over the neighbour pairs of a direction gives its co-occurrences, its run lengths, and joins equal
neighbours to zones. Each function has a compiled form and one in numpy arrays with the same result.

In the compiled forms an index that has been found to be 0 or more is made unsigned before it is used: numba else
generates the code for negative indices too, which takes half of the time.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mmpl.radiomics.compiling import HAS_NUMBA, compiled


@compiled
def _co_occurrences(rank, before, n_levels):
    table = np.zeros((n_levels, n_levels), np.int32)
    for v in range(rank.size):
        u = before[v]
        if u >= 0:
            table[np.uint32(rank[v]), np.uint32(rank[np.uint32(u)])] += 1
    n_cells = 0
    for i in range(n_levels):
        table[i, i] *= 2
        n_cells += table[i, i] > 0
        for j in range(i + 1, n_levels):
            table[i, j] += table[j, i]
            n_cells += table[i, j] > 0
    cells = np.empty((3, n_cells), np.int32)
    k = 0
    for i in range(n_levels):
        for j in range(i, n_levels):
            if table[i, j] > 0:
                cells[0, k], cells[1, k], cells[2, k] = i, j, table[i, j]
                k += 1
    return cells


def _co_occurrences_arrays(rank, before, n_levels):
    has = before >= 0
    a, b = rank[has].astype(np.int64), rank[before[has]].astype(np.int64)
    key, count = np.unique(np.minimum(a, b) * n_levels + np.maximum(a, b), return_counts=True)
    i, j = key // n_levels, key % n_levels
    return np.stack([i, j, np.where(i == j, 2 * count, count)]).astype(np.int32)


co_occurrences = _co_occurrences if HAS_NUMBA else _co_occurrences_arrays
"""Upper triangle of the symmetric co-occurrence counts along one direction.

Parameters: rank, int32 (n,); before, int32 (n,), one row of ``MaskGeometry.before``; n_levels.
Returns int32 array, shape (3, cells): i, j >= i, and C(i, j) + C(j, i).
"""


@compiled
def _reach(rank, before, n_levels, longest):
    reached = np.zeros((n_levels, longest + 2), np.int64)
    run = np.empty(rank.size, np.int32)
    for v in range(rank.size):
        u, level, length = before[v], rank[v], 1
        if u >= 0:
            w = np.uint32(u)
            if rank[w] == level:
                length = run[w] + 1
        run[v] = length
        reached[np.uint32(level), np.uint32(length)] += 1
    return reached


def _reach_arrays(rank, before, n_levels, longest):
    joined = before >= 0
    joined[joined] = rank[before[joined]] == rank[joined]
    run = np.ones(rank.size, np.int64)
    follower = np.flatnonzero(joined)
    for length in range(1, longest):
        follower = follower[run[before[follower]] >= length]
        if follower.size == 0:
            break
        run[follower] = length + 1
    reached = np.zeros((n_levels, longest + 2), np.int64)
    np.add.at(reached, (rank, run), 1)
    return reached


runs_reaching = _reach if HAS_NUMBA else _reach_arrays
"""Runs of each level that reach each length along one direction.

Returns int64 array, shape (n_levels, longest + 2): entry (i, r) counts the runs of level i of at least r voxels.
"""


@compiled
def _zones(rank, of_voxel):
    n = rank.size
    parent = np.arange(n).astype(np.uint32)
    for v in range(n):
        root, level = np.uint32(v), rank[v]
        for a in range(of_voxel.shape[1]):
            w = of_voxel[v, a]
            if w < 0:
                continue
            u = np.uint32(w)
            if rank[u] == level:
                other = parent[u]
                if other == root:
                    continue
                while parent[other] != other:
                    parent[other] = parent[parent[other]]
                    other = parent[other]
                parent[u] = other
                if other < root:
                    parent[root] = other
                    root = other
                else:
                    parent[other] = root
        parent[v] = root
    size = np.zeros(n, np.int32)
    n_zones = 0
    for v in range(n):
        root = parent[parent[v]]
        while parent[root] != root:
            root = parent[root]
        parent[v] = root
        n_zones += size[root] == 0
        size[root] += 1
    level_of, size_of = np.empty(n_zones, np.int32), np.empty(n_zones, np.int32)
    k = 0
    for v in range(n):
        if size[v] > 0:
            level_of[k], size_of[k] = rank[v], size[v]
            k += 1
    return level_of, size_of


def _zones_arrays(rank, of_voxel):
    rows, columns = [], []
    for row in of_voxel.T:
        has = np.flatnonzero(row >= 0)
        same = has[rank[row[has]] == rank[has]]
        rows.append(same)
        columns.append(row[same])
    i, j = np.concatenate(rows), np.concatenate(columns)
    graph = coo_array((np.ones(i.size, bool), (i, j)), shape=(rank.size, rank.size))
    n_zones, zone = connected_components(graph, directed=False)
    level_of = np.empty(n_zones, np.int32)
    level_of[zone] = rank
    return level_of, np.bincount(zone, minlength=n_zones).astype(np.int32)


zones = _zones if HAS_NUMBA else _zones_arrays
"""26-connected zones of equal level: their level rank and their voxels, two int32 arrays.

Parameters: rank, int32 (n,); of_voxel, ``MaskGeometry.before_of_voxel``.
"""


@compiled
def _surroundings(rank, levels, before):
    n = rank.size
    same, total = np.zeros(n, np.int64), np.zeros(n)
    for a in range(before.shape[0]):
        for v in range(n):
            if before[a, v] >= 0:
                u = np.uint32(before[a, v])
                total[v] += levels[np.uint32(rank[u])]
                total[u] += levels[np.uint32(rank[v])]
                if rank[u] == rank[v]:
                    same[v] += 1
                    same[u] += 1
    return same, total


def _surroundings_arrays(rank, levels, before):
    n, level = rank.size, levels[rank]
    same, total = np.zeros(n, np.int64), np.zeros(n)
    for row in before:
        v = np.flatnonzero(row >= 0)
        u = row[v]
        total[v] += level[u]
        total += np.bincount(u, level[v], minlength=n)
        equal = rank[u] == rank[v]
        same[v[equal]] += 1
        same += np.bincount(u[equal], minlength=n)
    return same, total


surroundings = _surroundings if HAS_NUMBA else _surroundings_arrays
"""Of each voxel's 26 neighbours inside the mask: how many have its level (int64), and the sum of their levels."""
