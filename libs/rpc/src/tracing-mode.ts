/** How much of the calls of a process is traced. */

/**
 * `off`: nothing, and no code for it stands in a call's way. `follow`: only what a caller's sampled trace asks for; any
 * other call costs the look-up of one metadata entry. `roots`: the process's sampler also decides about calls without a
 * caller's trace.
 */
export type TracingMode = 'off' | 'follow' | 'roots';
