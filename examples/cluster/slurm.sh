#!/bin/sh
# Start a Dask cluster of Slurm jobs, sweep on it, and take it down again.
#
#   sbatch --time=12:00:00 examples/cluster/slurm.sh SWEEP.toml DIR
#
# This job is the driver: it schedules, and computes nothing. DIR must be on a disk that all nodes
# mount. Killed or out of time? Submit it again: it goes on where it stopped.
set -eu
sweep=$1
out=$2
python3 "$(dirname "$0")/slurm_cluster.py" "$sweep" "$out"
