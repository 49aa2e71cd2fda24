"""The random changes of Square Attack: in windows of an image, or in all coordinates where there are few."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bnnbench.authoring import per_image
from bnnbench_plugins.attacks.query_budget import normal

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bnnbench import Threat

FEW = 8
"""The largest number of coordinates that are changed all at once: so few have fewer corners than queries."""
TILES = 5
"""The number of bumps along each axis of the first candidate in the l2 and l1 balls."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """The random numbers of one step for n images; all tensors lead with n.

    `corners` (n, axes) place the window, `axis` (n,) is the axis along which a bump has two halves, and `signs`
    (n, channels) are those of the new values. `moves` (n, *shape) are normal; None unless there are few coordinates.
    """

    corners: Tensor
    axis: Tensor
    signs: Tensor
    moves: Tensor | None

    def at(self, images: Tensor) -> Numbers:
        """The numbers of the images at these positions."""
        moves = None if self.moves is None else self.moves[images]
        return Numbers(self.corners[images], self.axis[images], self.signs[images], moves)


class Windows:
    """The windows of images of one shape. (C, H, W) has channels and two axes; (H, W) and (D,) have axes alone.

    A window is as long along each axis, in coordinates, as the axis allows. It holds all channels.
    """

    def __init__(self, x: Tensor) -> None:
        shape = tuple(x.shape[1:])
        self.channels, self.sides = (shape[0], shape[1:]) if len(shape) > 2 else (1, shape)
        self.few = math.prod(shape) <= FEW

    def draw(self, x: Tensor, rng: torch.Generator) -> Numbers:
        """The random numbers of one step, for all images of x (N, *shape)."""
        import torch

        axes = len(self.sides)
        uniform = torch.rand((len(x), axes + 1), generator=rng, dtype=torch.float32, device="cpu").to(x.device)
        signs = _signs((len(x), self.channels), x, rng)
        moves = normal(tuple(x.shape), x, rng) if self.few else None
        return Numbers(uniform[:, :axes], (uniform[:, -1] * axes).long(), signs, moves)

    def start(self, x: Tensor, threat: Threat, rng: torch.Generator) -> Tensor:
        """The first candidates (N, *shape), on the surface of the ball.

        They are stripes along the last axis in the linf ball, and bumps in a grid in the others; signs are random.
        """
        import torch

        if threat.norm == "linf" or self.few:
            stripes = (len(x), self.channels, *[1] * (len(self.sides) - 1), self.sides[-1])
            step = _signs(stripes, x, rng).expand(len(x), self.channels, *self.sides)
        else:
            lengths = [-(-side // TILES) for side in self.sides]
            tiles = _signs((len(x), self.channels, *[TILES] * len(self.sides)), x, rng)
            for axis, (side, length) in enumerate(zip(self.sides, lengths, strict=True), 2):
                tiles = tiles.repeat_interleave(length, axis).narrow(axis, 0, side)
            sides = zip(self.sides, lengths, strict=True)
            offsets = [torch.arange(side, device=x.device)[None] % length for side, length in sides]
            first = torch.zeros(1, dtype=torch.long, device=x.device)
            step = tiles * _bump(offsets, torch.tensor([lengths], device=x.device), first)[:, None].to(x)
        return threat.project(x, x + threat.epsilon * _of_length_one(step.reshape(x.shape), threat))

    def candidates(self, x: Tensor, points: Tensor, numbers: Numbers, share: Tensor, threat: Threat) -> Tensor:
        """Candidates (n, *shape) near `points` (n, *shape), in the ball around x (n, *shape).

        `share` (n,) is the share of an image's coordinates that its window covers. If there are few coordinates, all of
        them move, by about the root of `share` in epsilons.
        """
        if numbers.moves is not None:
            return threat.project(x, points + threat.epsilon * per_image(share.sqrt().to(x), x) * numbers.moves)
        if threat.norm == "linf":
            return self._signs_in_window(x, points, numbers, share, threat)
        bump = self._bump_in_window(x, numbers, share)
        if threat.norm == "l1":
            # A bump as long as the ball is wide moves pixels to the end of the box; the projection shortens the rest.
            return threat.project(x, points + threat.epsilon * _of_length_one(bump, threat))
        step = points - x + threat.epsilon * per_image(share.sqrt().to(x), x) * bump
        return threat.project(x, x + threat.epsilon * _of_length_one(step, threat))

    def _signs_in_window(self, x: Tensor, points: Tensor, numbers: Numbers, share: Tensor, threat: Threat) -> Tensor:
        """Points that are moved to a side of the linf ball in a window: each channel to a side of its own."""
        inside = self._inside(share, numbers.corners)

        def moved(signs: Tensor) -> Tensor:
            step = self._split(x) * 0 + signs.view(*signs.shape, *[1] * len(self.sides))
            return threat.project(x, x + threat.epsilon * step.view_as(x))

        def within(other: Tensor) -> Tensor:
            return self._split(other).where(inside, self._split(points)).view_as(x)

        changed = within(moved(numbers.signs))
        # A window that is on these sides already moves to the opposite ones: a query must not be lost.
        same = (changed == points).flatten(1).all(1)
        return within(moved(-numbers.signs)).where(per_image(same, x), changed) if same.any() else changed

    def _bump_in_window(self, x: Tensor, numbers: Numbers, share: Tensor) -> Tensor:
        """Bumps (n, *shape) in a window, of Euclidean length one over all channels.

        In the l2 ball a bump is as long as the root of its share of the coordinates, in epsilons, and in the l1 ball
        as long as epsilon. The paper takes the length of a bump from a second window instead; on linear models and
        digits that is far weaker.
        """
        inside = self._inside(share, numbers.corners)
        bump = _bump(self._offsets(share, numbers.corners), self._lengths(share), numbers.axis)[:, None].to(x) * inside
        bump = bump / per_image(bump.flatten(1).norm(dim=1), bump)
        signs = numbers.signs.view(*numbers.signs.shape, *[1] * len(self.sides)) / math.sqrt(self.channels)
        return (bump * signs).reshape(x.shape)

    def _split(self, x: Tensor) -> Tensor:
        """Images (n, *shape) as (n, channels, *sides)."""
        return x.reshape(len(x), self.channels, *self.sides)

    def _lengths(self, share: Tensor) -> Tensor:
        """The length of a window that covers a share (n,) of the coordinates, along each axis: (n, axes)."""
        import torch

        length = (share * math.prod(self.sides)).pow(1 / len(self.sides)).round().long()
        sides = torch.tensor(self.sides, device=share.device)
        return length[:, None].clamp(min=1).minimum(sides)

    def _offsets(self, share: Tensor, places: Tensor) -> list[Tensor]:
        """For each axis the distance (n, side) of each coordinate from the corner of the window."""
        import torch

        sides = torch.tensor(self.sides, device=share.device)
        corners = (places * (sides - self._lengths(share) + 1)).long().minimum(sides - self._lengths(share))
        return [torch.arange(side, device=share.device) - corners[:, [axis]] for axis, side in enumerate(self.sides)]

    def _inside(self, share: Tensor, places: Tensor) -> Tensor:
        """Whether each coordinate lies in the window: (n, 1, *sides) bool."""
        import torch

        lengths, offsets = self._lengths(share), self._offsets(share, places)
        inside = [(offset >= 0) & (offset < lengths[:, [axis]]) for axis, offset in enumerate(offsets)]
        return _combined(inside, torch.logical_and)[:, None]


def _of_length_one(step: Tensor, threat: Threat) -> Tensor:
    """Steps (n, *shape) scaled to length one in the threat's norm; in the linf norm, their signs."""
    if threat.norm != "l1":
        return threat.steepest(step)
    return step / per_image(threat.distance(step * 0, step).clamp(min=1e-30).to(step), step)


def _bump(offsets: list[Tensor], lengths: Tensor, axis: Tensor) -> Tensor:
    """Two opposite pyramids (n, *sides) side by side along an axis (n,), in a window of these lengths (n, axes).

    A pyramid falls from its centre by 1 / k^2 at distance k. Values outside of the window have no meaning.
    """
    import torch

    distances, signs, reach = [], [], torch.zeros_like(axis)
    for place, offset in enumerate(offsets):
        length = lengths[:, [place]]
        halved, half = (axis == place)[:, None] & (length > 1), length // 2
        second = halved & (offset >= half)
        extent = length.where(~halved, half.where(~second, length - half))
        distances.append((offset - half.where(second, torch.zeros_like(half)) - extent // 2).abs())
        reach = torch.maximum(reach, (extent // 2).amax(1))
        signs.append(1 - 2 * second.float())
    distance = _combined(distances, torch.maximum)
    most = int(reach.max()) + 1
    falls = 1 / torch.arange(1, most + 1, device=axis.device).square()
    heights = torch.cat([falls.new_zeros(1), falls]).cumsum(0)
    top = per_image(heights[reach + 1], distance)
    return _combined(signs, torch.mul) * (top - heights[distance.clamp(max=most)])


def _combined(along_axes: list[Tensor], combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """One tensor (n, *sides) from one (n, side) for each axis."""
    result = along_axes[0]
    for values in along_axes[1:]:
        result = combine(result[..., None], values.view(len(values), *[1] * (result.ndim - 1), -1))
    return result


def _signs(shape: tuple[int, ...], x: Tensor, rng: torch.Generator) -> Tensor:
    """Random signs, drawn on the CPU, on x's device and of its dtype."""
    import torch

    return (torch.randint(0, 2, shape, generator=rng, device="cpu") * 2 - 1).to(x)
