"""Targets and datasets: from files to columns to batches."""
