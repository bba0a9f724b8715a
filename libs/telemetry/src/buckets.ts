/** Upper bounds of the buckets of histograms. What lies above the last counts in a bucket without a bound. */

/** Seconds, 0.1 ms to 10 s. */
export const DURATION_BUCKETS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

/** Bytes, 256 B to 16 MiB. */
export const BYTES_BUCKETS: readonly number[] = [
  256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 2_097_152, 4_194_304, 16_777_216,
];

/** Numbers of things, 1 to 10,000. */
export const COUNT_BUCKETS: readonly number[] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];
