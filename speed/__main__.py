"""Run all measurements of this folder and print one report in markdown.

python speed [--quick] [--plot PLOT.svg]           (half an hour; with --quick a few minutes)
"""

from __future__ import annotations

import argparse

import attacks
import chains
import growth
import leapfrog
import matrix
import measuring
import memory

parser = argparse.ArgumentParser(prog="python speed", description=__doc__.partition("\n")[0])
parser.add_argument("--quick", action="store_true", help="measure smaller cases with fewer repetitions")
parser.add_argument("--plot", metavar="FILE", help="write a figure of how costs grow, as an svg, png or pdf file")


def main() -> None:
    """Parse the command line, measure, and print the report."""
    options = parser.parse_args()
    print(f"{measuring.machine()}\n")
    print(attacks.report(options.quick), flush=True)
    costs = growth.measured(growth.QUICK if options.quick else growth.GROWTH, 2 if options.quick else 5)
    print(growth.report(costs), flush=True)
    if options.plot:
        growth.plot(costs, options.plot)
    print(memory.report(options.quick), flush=True)
    print(leapfrog.report(options.quick), flush=True)
    print(chains.report(options.quick), flush=True)
    print(matrix.report(100 if options.quick else 1000))


if __name__ == "__main__":
    main()
