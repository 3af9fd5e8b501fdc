"""Latencies of a part of a run: `oxkeeper bench --slices` tells tenths of a second apart."""

SLICE_S = 0.1
QUANTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def overlapping(report, intervals):
    """The numbers of the slices of a report that lie, if only in part, in these intervals."""
    chosen = []
    for number in range(len(report["slices"])):
        begin = report["began_unix"] + number * SLICE_S
        if any(begin < to and begin + SLICE_S > since for since, to in intervals):
            chosen.append(number)
    return chosen


def summary(report, numbers=None):
    """Replies a second and latency quantiles in microseconds of these slices, or of all."""
    slices = report["slices"]
    numbers = range(len(slices)) if numbers is None else numbers
    counts = {}
    for number in numbers:
        for latency_ns, count in slices[number]:
            counts[latency_ns] = counts.get(latency_ns, 0) + count
    total = sum(counts.values())
    told = {"ops": total, "seconds": len(numbers) * SLICE_S}
    told["ops_per_second"] = total / told["seconds"] if numbers else 0.0
    for name, fraction in QUANTILES.items():
        told[name] = quantile(counts, total, fraction) / 1e3
    told["max"] = max(counts, default=0) / 1e3
    return told


def quantile(counts, total, fraction):
    """The smallest latency that this fraction does not exceed."""
    seen = 0
    for latency_ns in sorted(counts):
        seen += counts[latency_ns]
        if seen >= total * fraction:
            return latency_ns
    return 0


def shown(told):
    """A summary in a table's cell."""
    return " / ".join(f"{told[name]:,.0f}" for name in ("p50", "p99", "p99.9", "max"))
