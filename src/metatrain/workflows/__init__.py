"""The stories that `mtt` tells, each readable from top to bottom."""
