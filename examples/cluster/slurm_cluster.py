"""A sweep on Slurm jobs through dask-jobqueue: `slurm_cluster.py SWEEP.toml DIR`.

Needs `pip install 'whytrain[cluster]' dask-jobqueue` where the jobs run.
"""

import sys

from whytrain import lab, studies

CORES = 8  # of a job: a process each
JOBS = 20  # at most; Slurm starts them as it can, and workers join when they come


def main() -> None:
    """Ask Slurm for workers, and sweep on them."""
    from dask_jobqueue import SLURMCluster  # only a cluster has it
    from distributed import Client

    sweep, out = sys.argv[1:]
    cluster = SLURMCluster(
        cores=CORES,
        processes=CORES,
        memory=f"{2 * CORES}GB",
        walltime="04:00:00",
        # One thread a process: the others have the other cores.
        job_script_prologue=["export WHYTRAIN_THREADS=1 NPROC=1 PJRT_NPROC=1 OMP_NUM_THREADS=1"],
        worker_extra_args=["--lifetime", "235m", "--lifetime-stagger", "4m"],
    )
    cluster.adapt(minimum_jobs=1, maximum_jobs=JOBS)
    with cluster, Client(cluster) as client:
        plan = lab.read_plan(sweep, studies.source)
        tally = lab.run_sweep(plan, out, executor=client.get_executor(pure=False, retries=5))
    print(f"{tally.computed} computed, {tally.reused} found, {len(tally.failures)} failed")


if __name__ == "__main__":
    main()
