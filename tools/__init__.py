"""Programs around the product: benchmarks, faults, probes, the demo, broker nodes. Tests use them, not vice versa."""
