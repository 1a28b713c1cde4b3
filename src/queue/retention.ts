import type { Job } from 'bullmq';

/** Lets the worker's retention hold for a job that others added with `removeOnComplete: false` or the like. */
export function overrideRetention(job: Pick<Job, 'opts'>): void {
  delete job.opts.removeOnComplete;
  delete job.opts.removeOnFail;
}
