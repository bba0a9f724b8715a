/** At which rate latencies are measured: the same for all systems that can keep up with it. */

/** Of what Kafka reached: far enough below it that what is told is the path, not a queue that grows. */
const SHARE = 0.5;
/** A system that is asked for more of what it reached itself does not settle: its latency would be the length of the run. */
const OWN_SHARE_MAX = 0.8;

/**
 * Records a second: half of what the reference reached where that is at most 0.8 of what the system itself reached, else
 * half of its own.
 */
export function latencyRate(ownPerSecond: number, referencePerSecond: number): number {
  const wanted = referencePerSecond * SHARE;
  return Math.max(1, Math.round(wanted <= ownPerSecond * OWN_SHARE_MAX ? wanted : ownPerSecond * SHARE));
}
